import { expect, test } from '@jest/globals';
import { parseFleetFile, resolveFleet } from '@neon-fleet/shared/fleet';

import { placesOf } from '../../../src/storage/placed.js';

test('places are told once, that of the inputs first, and each as it is named first', () => {
  const file = parseFleetFile(`
tenants:
  - { key: a, backup: { bucket: abroad, kms-key: first } }
  - { key: b, backup: { prefix: below } }
  - { key: c, backup: { bucket: abroad, kms-key: second } }
  - { key: d }
`);
  const inputs = {
    s3Bucket: 'home',
    s3Prefix: undefined,
    awsRegion: undefined,
    kmsKeyId: undefined,
    every: undefined,
    retention: undefined,
  };
  const places = placesOf(inputs, { members: resolveFleet(file), ignored: [] });
  expect(places.map(({ bucket, prefix, kmsKeyId }) => [bucket, prefix, kmsKeyId])).toEqual([
    ['home', '', undefined],
    ['abroad', '', 'first'],
    ['home', 'below/', undefined],
  ]);
});
