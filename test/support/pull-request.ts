import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A comment as GitHub keeps it. */
export interface StoredComment {
  readonly id: number;
  readonly author: string;
  body: string;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

interface ListRequest {
  readonly query: string;
  readonly variables: {
    readonly owner: string;
    readonly name: string;
    readonly number: number;
    readonly after: string | null;
  };
}

const PAGE = 100;
const LONGEST_BODY = 65_536;
const BOT = 'github-actions[bot]';

/** The comments of pull request 7 of org/app, on loopback, as GitHub's REST and GraphQL give them to the job's token. */
export class LocalPullRequest implements AsyncDisposable {
  readonly number = 7;
  readonly repository = 'org/app';
  readonly token = 'ghs_0123456789abcdefghijklmnopqrstuvwxyz';
  readonly comments: StoredComment[] = [];
  /** Each request as `POST /repos/…`. */
  readonly requests: string[] = [];
  /** Answers to what changes something that get lost, after it was carried out or instead of it. */
  lostAnswers = 0;
  lostRequests = 0;
  /** Refuses what changes something with this status and message. */
  refusal: { readonly status: number; readonly message: string } | undefined;
  /** Refuses to list, as GraphQL does it: with 200. */
  listRefusal: { readonly type: string; readonly message: string } | undefined;
  /** Held until it resolves: the answer to each list. */
  beforeList: () => Promise<void> = () => Promise.resolve();
  #lastId = 3_000_000_000; // larger than 32 bits hold, as they are on GitHub

  private constructor(private readonly server: Server) {}

  static async start(): Promise<LocalPullRequest> {
    const server = createServer();
    const github = new LocalPullRequest(server);
    server.on('request', (request, response) => {
      void github.#answer(request).then((answer) => {
        if (answer === undefined) {
          request.socket.destroy();
          return;
        }
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return github;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Those that the job's token has written. */
  get own(): readonly StoredComment[] {
    return this.comments.filter(({ author }) => author === BOT);
  }

  write(author: string, body: string): StoredComment {
    this.#lastId += 1;
    const comment = { id: this.#lastId, author, body };
    this.comments.push(comment);
    return comment;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<Answer | undefined> {
    const text = (await request.toArray()).map(String).join('');
    const call = `${request.method ?? ''} ${request.url ?? ''}`;
    this.requests.push(call);
    if (request.headers.authorization !== `token ${this.token}`) return refuse(401, 'Bad credentials');
    if (call === 'POST /graphql') {
      await this.beforeList();
      return this.#list(JSON.parse(text) as ListRequest);
    }
    if (this.lostRequests > 0) {
      this.lostRequests -= 1;
      return undefined;
    }
    if (this.refusal !== undefined) return refuse(this.refusal.status, this.refusal.message);
    const answer = this.#change(call, text === '' ? {} : (JSON.parse(text) as { body?: unknown }));
    if (this.lostAnswers === 0) return answer;
    this.lostAnswers -= 1;
    return undefined;
  }

  #list({ query, variables }: ListRequest): Answer {
    if (this.listRefusal !== undefined) return { status: 200, body: { data: null, errors: [this.listRefusal] } };
    const { owner, name, number, after } = variables;
    if (!query.includes('viewerDidAuthor') || `${owner}/${name}` !== this.repository || number !== this.number) {
      const message = `Could not resolve to a PullRequest with the number of ${number}.`;
      return { status: 200, body: { data: null, errors: [{ type: 'NOT_FOUND', message }] } };
    }
    const from = after === null ? 0 : Number(after);
    const page = this.comments.slice(from, from + PAGE);
    const nodes = page.map(({ id, author, body }) => ({
      fullDatabaseId: String(id),
      viewerDidAuthor: author === BOT,
      body,
    }));
    const pageInfo = {
      hasNextPage: from + PAGE < this.comments.length,
      endCursor: page.length === 0 ? null : String(from + page.length),
    };
    return { status: 200, body: { data: { repository: { pullRequest: { comments: { pageInfo, nodes } } } } } };
  }

  #change(call: string, { body }: { body?: unknown }): Answer {
    const [method = '', path = ''] = call.split(' ');
    if (method !== 'DELETE' && (typeof body !== 'string' || body.length > LONGEST_BODY)) {
      return refuse(422, 'body is too long (maximum is 65536 characters)');
    }
    if (call === `POST /repos/${this.repository}/issues/${this.number}/comments`) {
      return { status: 201, body: { id: this.write(BOT, String(body)).id } };
    }
    const [, id] = /^\/repos\/org\/app\/issues\/comments\/(\d+)$/.exec(path) ?? [];
    const index = this.comments.findIndex((comment) => String(comment.id) === id);
    const comment = this.comments[index];
    if (comment === undefined) return refuse(404, 'Not Found');
    if (comment.author !== BOT) return refuse(403, 'Resource not accessible by integration');
    if (method === 'PATCH') comment.body = String(body);
    else this.comments.splice(index, 1);
    return method === 'PATCH' ? { status: 200, body: { id: comment.id } } : { status: 204 };
  }
}

function refuse(status: number, message: string): Answer {
  return { status, body: { message, documentation_url: 'https://docs.github.com/rest' } };
}
