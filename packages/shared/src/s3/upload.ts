import { randomUUID } from 'node:crypto';
import zlib from 'node:zlib';

import { explain, ExplainedError } from '../errors/index.js';
import { abortedLater } from './abortable.js';
import { placeOf } from './client.js';
import { cut } from './cut.js';
import { isTaken } from './errors.js';
import { LAST_PART, type PartPlan } from './part-plan.js';
import { removeStrays, removeUpload } from './remove-upload.js';
import type { BegunUpload, ObjectDescription, ObjectStore, UploadedPart } from './store.js';

export interface StreamUpload extends ObjectDescription, PartPlan {
  /**
   * Opens what is to be stored. It must throw when it has not come to its own good end, and soon when the signal it is
   * given is aborted: that happens when the run is told to stop, and when the store refuses a part.
   */
  readonly source: (signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface StoredStream {
  readonly sizeBytes: number;
  readonly parts: number;
}

/** The name under which an object keeps what tells our own upload from another of the same key. */
const TOKEN = 'neon-fleet-upload';

/** Node 20.15 and newer. */
const HAS_CRC32 = 'crc32' in zlib;

/** Requests whose answer decides what exists are not broken off at once when the run is told to stop. */
const COMMIT_GRACE_MS = 1_500;
const LOOK_TIMEOUT_MS = 5_000;

/**
 * Stores a stream as one object: in one request when it is smaller than a part, else as a multipart upload.
 *
 * The object appears only after the source has ended well. Whatever else happens (the source throws, the store fails, the
 * run is told to stop) nothing appears, and this returns only when the upload's parts are gone from the store, or says in
 * the error that they could not be removed.
 *
 * @throws what the source threw, an S3Error, or the reason of the signal.
 */
export async function uploadStream(store: ObjectStore, upload: StreamUpload): Promise<StoredStream> {
  const transfer = new Transfer(store, upload);
  try {
    for await (const piece of cut(upload.source(transfer.signal), upload.partSizeBytes)) await transfer.take(piece);
    return await transfer.finish();
  } catch (thrown) {
    throw await transfer.abandon(thrown);
  }
}

class Transfer {
  /** Aborted when the run is told to stop, and when a part has failed. */
  readonly signal: AbortSignal;
  private readonly ownStop = new AbortController();
  private readonly object: ObjectDescription;
  private readonly token = randomUUID();
  /** The first piece, until it is known whether there is a second. */
  private first: Buffer | undefined;
  private begun: BegunUpload | undefined;
  private beginFailed = false;
  private failure: unknown;
  private sizeBytes = 0;
  private crc32 = 0;
  private nextPart = 1;
  private readonly parts: UploadedPart[] = [];
  private readonly inFlight = new Set<Promise<void>>();

  constructor(
    private readonly store: ObjectStore,
    private readonly upload: StreamUpload,
  ) {
    this.signal = AbortSignal.any([upload.signal, this.ownStop.signal]);
    const { key, contentType, metadata, tags } = upload;
    this.object = {
      key,
      contentType,
      metadata: { ...metadata, [TOKEN]: this.token },
      ...(tags === undefined ? {} : { tags }),
    };
  }

  async take(piece: Buffer): Promise<void> {
    this.sizeBytes += piece.length;
    if (HAS_CRC32) this.crc32 = zlib.crc32(piece, this.crc32);
    if (this.begun === undefined && this.first === undefined) {
      this.first = piece;
      return;
    }
    if (this.first !== undefined) {
      const first = this.first;
      this.first = undefined;
      this.begun = await this.begin();
      await this.send(this.begun, first);
    }
    if (this.begun !== undefined) await this.send(this.begun, piece);
  }

  private async begin(): Promise<BegunUpload> {
    // Broken off at once, the request could leave an upload behind whose id nobody knows.
    const later = abortedLater(this.signal, COMMIT_GRACE_MS);
    try {
      return await this.store.beginUpload(this.object, later.signal);
    } catch (thrown) {
      this.beginFailed = true;
      throw thrown;
    } finally {
      later.dispose();
    }
  }

  private async send(upload: BegunUpload, piece: Buffer): Promise<void> {
    while (this.inFlight.size >= this.upload.partsInFlight) await Promise.race(this.inFlight);
    this.signal.throwIfAborted();
    const number = this.nextPart;
    this.nextPart += 1;
    if (number > (this.upload.maxParts ?? LAST_PART)) throw tooManyParts(this.upload);
    const sending = this.store
      .uploadPart(upload, number, piece, this.signal)
      .then((part) => void this.parts.push(part))
      .catch((thrown: unknown) => this.fail(thrown))
      .finally(() => this.inFlight.delete(sending));
    this.inFlight.add(sending);
  }

  private fail(thrown: unknown): void {
    this.failure ??= thrown;
    this.ownStop.abort(thrown);
  }

  async finish(): Promise<StoredStream> {
    await Promise.all(this.inFlight);
    this.signal.throwIfAborted();
    const later = abortedLater(this.upload.signal, COMMIT_GRACE_MS);
    try {
      await this.commit(later.signal);
    } catch (thrown) {
      if (!(await this.isStored())) throw isTaken(thrown) ? taken(this.store.bucket, this.object.key) : thrown;
    } finally {
      later.dispose();
    }
    await this.confirm().catch((thrown: unknown) => this.withdraw(thrown));
    if (this.begun?.mayHaveStrays === true) await removeStrays(this.store, this.object.key);
    return { sizeBytes: this.sizeBytes, parts: Math.max(1, this.parts.length) };
  }

  private async commit(signal: AbortSignal): Promise<void> {
    if (this.begun === undefined) {
      await this.store.put(this.object, this.first ?? Buffer.alloc(0), signal);
    } else {
      const inOrder = this.parts.toSorted((a, b) => a.number - b.number);
      const whole = HAS_CRC32 ? { sizeBytes: this.sizeBytes, crc32: this.crc32 } : undefined;
      await this.store.completeUpload(this.begun, inOrder, signal, whole);
    }
  }

  /** Looks whether the object is there all the same: the answer to a request that was carried out can be lost. */
  private async isStored(): Promise<boolean> {
    try {
      const head = await this.store.head(this.object.key, AbortSignal.timeout(LOOK_TIMEOUT_MS));
      return head?.metadata[TOKEN] === this.token && head.sizeBytes === this.sizeBytes;
    } catch {
      return false;
    }
  }

  /** Does not believe a store that says it has everything: what counts is what it shows. */
  private async confirm(): Promise<void> {
    const head = await this.store.head(this.object.key, AbortSignal.timeout(LOOK_TIMEOUT_MS));
    if (head?.sizeBytes === this.sizeBytes) return;
    const shown = head === undefined ? 'nothing' : `${head.sizeBytes} bytes`;
    throw new ExplainedError({
      message: `S3 accepted ${placeOf(this.store.bucket, this.object.key)} but shows ${shown} instead of ${this.sizeBytes} bytes`,
      hint: 'Another writer of the same bucket, or a faulty store. The object does not count as a backup.',
    });
  }

  /** Takes back an object that was stored but could not be confirmed: its key is this upload's alone. */
  private async withdraw(thrown: unknown): Promise<never> {
    const { key } = this.object;
    const refusals = await this.store.delete([key], AbortSignal.timeout(LOOK_TIMEOUT_MS)).catch(() => [key]);
    if (refusals.length === 0) throw thrown;
    const { message, code, hint } = explain(thrown);
    throw new ExplainedError(
      {
        message: `${message}; besides, ${placeOf(this.store.bucket, key)} could not be taken back: it does not count as a backup`,
        ...(code === undefined ? {} : { code }),
        ...(hint === undefined ? {} : { hint }),
      },
      { cause: thrown },
    );
  }

  /** Undoes everything, and gives the error to throw. */
  async abandon(thrown: unknown): Promise<unknown> {
    const cause: unknown = this.upload.signal.aborted ? this.upload.signal.reason : (this.failure ?? thrown);
    this.ownStop.abort(cause);
    await Promise.all(this.inFlight);
    const left = await this.removeRemains();
    if (left === undefined) return cause;
    const { message, code, hint } = explain(cause);
    return new ExplainedError(
      {
        message: `${message}; besides, ${left}`,
        ...(code === undefined ? {} : { code }),
        hint: `${hint === undefined ? '' : `${hint} `}A lifecycle rule AbortIncompleteMultipartUpload on the bucket removes what was left.`,
      },
      { cause },
    );
  }

  private async removeRemains(): Promise<string | undefined> {
    const inAHurry = this.upload.signal.aborted;
    const left = this.begun === undefined ? undefined : await removeUpload(this.store, this.begun, inAHurry);
    if (this.beginFailed || this.begun?.mayHaveStrays === true) await removeStrays(this.store, this.object.key);
    return left;
  }
}

function tooManyParts({ partSizeBytes, maxParts = LAST_PART }: PartPlan): ExplainedError {
  return new ExplainedError({
    message: `the dump became larger than ${maxParts} parts of ${partSizeBytes} bytes, which were chosen for twice the size of the database`,
    hint: 'Run again: the size is read anew. A higher compression-level makes the dump smaller.',
  });
}

function taken(bucket: string, key: string): ExplainedError {
  return new ExplainedError({
    message: `${placeOf(bucket, key)} exists already: another run made a backup at the same instant; nothing was overwritten`,
    hint: 'Run again.',
  });
}
