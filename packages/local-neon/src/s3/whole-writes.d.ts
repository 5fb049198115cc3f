/** The part of s3rver's store that writes bodies. */
export interface WritingStore {
  getResourcePath(bucket: string, key: string | undefined, what: string): string;
  putObject(object: { readonly bucket: string; readonly key: string }): Promise<{ readonly size: number }>;
  putPart(bucket: string, uploadId: string, partNumber: number, content?: unknown): Promise<{ readonly size: number }>;
}

export function answerWhenWritten(store: WritingStore): void;
