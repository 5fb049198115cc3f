export { checked, damaged, openObject } from './check-object.js';
export { COMPRESSIONS, DUMP_FORMATS, type Compression, type DumpFormat } from './formats.js';
export {
  backupTimestamp,
  coverageKey,
  databasePrefix,
  instantOf,
  isObjectKey,
  manifestKey,
  newestFirst,
  normalisePrefix,
  OBJECT_SUFFIXES,
  objectKey,
  parseKey,
  verificationKey,
  type BackupId,
  type ObjectSuffix,
  type ParsedKey,
} from './keys.js';
export { readManifest, renderManifest, type Contents, type Manifest } from './manifest.js';
export {
  readCoverage,
  readVerification,
  writeCoverage,
  writeVerification,
  type Coverage,
  type Verification,
} from './notes.js';
export { checkPlaces, distinctPlaces, placeFor, placeWords, type Place, type PlaceInputs } from './place.js';
export { proveBackup, usedSince, type ProvenBackup, type WantedProof } from './proof.js';
export { PRIVILEGES, type DefaultGrants, type Membership, type ObjectGrants, type Role } from './roles.js';
