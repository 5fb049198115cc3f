import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * The answer to ListMultipartUploads, made from the directories in which s3rver keeps unfinished uploads.
 *
 * @param {string} directory one directory per upload, with a file `key`
 * @param {string} bucket
 * @param {URLSearchParams} query
 */
export async function listUploads(directory, bucket, query) {
  const prefix = query.get('prefix') ?? '';
  const marker = [query.get('key-marker') ?? '', query.get('upload-id-marker') ?? ''];
  const most = Math.min(Number(query.get('max-uploads') ?? 1000), 1000);
  const found = [];
  for (const id of await readdir(directory).catch(() => [])) {
    const file = path.join(directory, id, 'key');
    try {
      found.push({ id, key: await readFile(file, 'utf8'), at: (await stat(file)).mtime });
    } catch {
      // it has just been completed or aborted
    }
  }
  const wanted = found
    .filter(
      ({ key, id }) =>
        key.startsWith(prefix) && (key > marker[0] || (key === marker[0] && marker[1] !== '' && id > marker[1])),
    )
    .sort((a, b) => (a.key === b.key ? compare(a.id, b.id) : compare(a.key, b.key)));
  const page = wanted.slice(0, most);
  const last = page.at(-1);
  const more = wanted.length > page.length;
  const uploads = page.map(
    ({ id, key, at }) =>
      `<Upload><Key>${escape(key)}</Key><UploadId>${escape(id)}</UploadId><StorageClass>STANDARD</StorageClass>` +
      `<Initiated>${at.toISOString()}</Initiated></Upload>`,
  );
  const next = more
    ? `<NextKeyMarker>${escape(last.key)}</NextKeyMarker><NextUploadIdMarker>${escape(last.id)}</NextUploadIdMarker>`
    : '';
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
    `<Bucket>${escape(bucket)}</Bucket><KeyMarker>${escape(marker[0])}</KeyMarker><UploadIdMarker>${escape(marker[1])}</UploadIdMarker>` +
    `${next}<Prefix>${escape(prefix)}</Prefix><MaxUploads>${most}</MaxUploads><IsTruncated>${more}</IsTruncated>` +
    `${uploads.join('')}</ListMultipartUploadsResult>`
  );
}

/**
 * Forgets an unfinished upload. @returns whether there was one
 *
 * @param {string} directory
 * @param {string} id
 */
export async function abortUpload(directory, id) {
  const upload = path.join(directory, path.basename(id));
  try {
    await stat(upload);
  } catch {
    return false;
  }
  await rm(upload, { recursive: true, force: true });
  return true;
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
