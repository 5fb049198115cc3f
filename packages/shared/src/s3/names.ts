/** A bucket. Stores other than Amazon's allow more than Amazon does. */
export const BUCKET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;

/** Folders of a bucket, none of them `.` or `..`. */
export const FOLDER = /^\/*(?!\.{1,2}(\/|$))[A-Za-z0-9!_.*'()=-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9!_.*'()=-]+)*\/*$/;

/** A region, as AWS names them. */
export const STORE_REGION = /^[a-z0-9-]{1,40}$/;

/** Id, alias or ARN of a key of KMS. */
export const KMS_KEY = /^[A-Za-z0-9:/_-]{1,2048}$/;
