import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import sodium from 'libsodium-wrappers';

interface Written {
  readonly encrypted_value: string;
  readonly key_id: string;
}

/** GitHub's API for secrets on loopback, with a key pair of its own: what it is sent is opened with the private one. */
export class LocalGitHub implements AsyncDisposable {
  readonly #secrets = new Map<string, string>();
  readonly #keys = sodium.crypto_box_keypair();
  /** Each request as `PUT /repos/…`. */
  readonly requests: string[] = [];
  /** Answers that get lost after the request was carried out. */
  lostAnswers = 0;
  /** Refuses whatever it is asked with this status. */
  refuseWith: number | undefined;
  /** The same for removals only, and for writes only. */
  refuseDeletesWith: number | undefined;
  refuseWritesWith: number | undefined;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<LocalGitHub> {
    await sodium.ready;
    const server = createServer();
    const github = new LocalGitHub(server);
    server.on('request', (request, response) => {
      void github.#answer(request).then(({ status, body }) => {
        if (github.lostAnswers > 0 && request.method !== 'GET') {
          github.lostAnswers -= 1;
          request.socket.destroy();
          return;
        }
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(status === 204 ? '' : JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return github;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** A secret in clear. */
  secret(place: string, name: string): string | undefined {
    return this.#secrets.get(`${place}/${name}`);
  }

  fill(place: string, count: number): void {
    for (let each = 0; each < count; each += 1) this.#secrets.set(`${place}/FILL_${each}`, '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body?: unknown }> {
    const text = (await request.toArray()).map(String).join('');
    this.requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (this.refuseWith !== undefined) return { status: this.refuseWith, body: { message: 'Not Found' } };
    if (this.refuseDeletesWith !== undefined && request.method === 'DELETE') {
      return { status: this.refuseDeletesWith, body: { message: 'Forbidden' } };
    }
    if (this.refuseWritesWith !== undefined && request.method === 'PUT') {
      return { status: this.refuseWritesWith, body: { message: 'Forbidden' } };
    }
    const url = new URL(request.url ?? '', this.apiUrl);
    const [, place = '', rest = ''] = /^\/repos\/(.*?)\/secrets(.*)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    if (rest === '/public-key') {
      const key = sodium.to_base64(this.#keys.publicKey, sodium.base64_variants.ORIGINAL);
      return { status: 200, body: { key_id: 'key-1', key } };
    }
    if (rest === '') {
      const names = [...this.#secrets.keys()].filter((key) => key.startsWith(`${place}/`));
      const page = Number(url.searchParams.get('page'));
      const size = Number(url.searchParams.get('per_page'));
      const secrets = names.slice((page - 1) * size, page * size).map((key) => ({ name: key.slice(place.length + 1) }));
      return { status: 200, body: { total_count: names.length, secrets } };
    }
    const key = `${place}${rest}`;
    if (request.method === 'DELETE') return { status: this.#secrets.delete(key) ? 204 : 404, body: {} };
    const { encrypted_value, key_id } = JSON.parse(text) as Written;
    if (key_id !== 'key-1') return { status: 422, body: { message: 'unknown key' } };
    const box = sodium.from_base64(encrypted_value, sodium.base64_variants.ORIGINAL);
    const opened = sodium.crypto_box_seal_open(box, this.#keys.publicKey, this.#keys.privateKey);
    this.#secrets.set(key, sodium.to_string(opened));
    return { status: 201, body: {} };
  }
}
