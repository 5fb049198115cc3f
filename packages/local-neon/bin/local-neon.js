#!/usr/bin/env node
// Lets the TypeScript source run as it is, from any directory.
import { register } from 'tsx/esm/api';

register();
const { main } = await import('../src/cli.ts');
process.exitCode = await main(process.argv.slice(2));
