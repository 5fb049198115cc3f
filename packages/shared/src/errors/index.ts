export { ExplainedError, explain, systemCode, type Explanation } from './explained-error.js';
export { scrubSecrets } from './scrub-secrets.js';
