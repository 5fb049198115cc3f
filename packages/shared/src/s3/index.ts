export { abortedLater } from './abortable.js';
export { openStore, placeOf, type Keeping, type StoreCredentials, type StoreOptions } from './client.js';
export { cut } from './cut.js';
export { isHopeless, isNotFound, isTaken, S3Error } from './errors.js';
export { planParts, type PartPlan } from './part-plan.js';
export { readObject, type ObjectToRead } from './read-object.js';
export { roleCredentials, type RoleOptions } from './role-credentials.js';
export type { DeleteRefusal, ListedObject, ObjectDescription, ObjectHead, ObjectStore, OpenUpload } from './store.js';
export { uploadStream, type StoredStream, type StreamUpload } from './upload.js';
