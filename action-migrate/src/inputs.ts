import {
  commonOutputs,
  concurrencyInput,
  locationInputs,
  migrationInputs,
  neonInputs,
  runInputs,
  selectionInputs,
  textInput,
  type InputValues,
  type OutputDefinitions,
} from '@neon-fleet/shared/actions';

export const inputs = {
  ...neonInputs,
  ...selectionInputs,
  'migrations-folder': textInput({
    description: 'Folder that `drizzle-kit generate` writes.',
    default: './drizzle',
  }),
  ...locationInputs,
  ...migrationInputs,
  ...concurrencyInput('16'),
  ...runInputs,
} as const;

export type MigrateInputs = InputValues<typeof inputs>;

export const outputs = { ...commonOutputs } as const satisfies OutputDefinitions;
