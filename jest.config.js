/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // TypeScript first: a module may have a plain JavaScript program of the same name beside it.
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['**/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '/\\.neon-fleet/'],
  // Few cores are enough: most of the time goes into waiting for the servers under test.
  maxWorkers: 2,
  testTimeout: 120_000,
};
