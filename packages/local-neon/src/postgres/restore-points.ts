import { Transform } from 'node:stream';

/** The functions with which a client learns a position in the log that it may want to restore to. */
const READS_POSITION = /pg_current_wal_(insert_|flush_)?lsn/i;

/**
 * A stream from client to server that lets `record` finish before it passes on a query that reads the log's position:
 * what is recorded is then what the branch holds at the position that the client is told.
 */
export function recordBeforePosition(record: () => Promise<void>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (!READS_POSITION.test(chunk.toString('latin1'))) {
        done(null, chunk);
        return;
      }
      void record().then(() => done(null, chunk));
    },
  });
}
