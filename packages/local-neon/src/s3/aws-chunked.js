import { Transform } from 'node:stream';

/**
 * Takes the framing off a body in the encoding that S3 calls aws-chunked:
 * `<hex length>[;extension]\r\n<bytes>\r\n … 0\r\n[trailer]\r\n`. Signatures and checksums in it are not verified.
 */
export class AwsChunkedDecoder extends Transform {
  #state = 'length';
  #line = '';
  #left = 0;

  /** @override */
  _transform(bytes, _encoding, done) {
    let at = 0;
    while (at < bytes.length && this.#state !== 'trailer') {
      if (this.#state === 'bytes') {
        const piece = bytes.subarray(at, at + this.#left);
        this.push(piece);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0) this.#state = 'end';
        continue;
      }
      const character = String.fromCharCode(bytes[at++]);
      if (character !== '\n') {
        this.#line += character;
        continue;
      }
      const line = this.#line.trim();
      this.#line = '';
      if (this.#state === 'end') this.#state = 'length';
      else if (!/^[0-9a-f]+(;|$)/i.test(line)) {
        done(new Error('the body is not in the encoding aws-chunked'));
        return;
      } else {
        this.#left = parseInt(line, 16);
        this.#state = this.#left === 0 ? 'trailer' : 'bytes';
      }
    }
    done();
  }
}
