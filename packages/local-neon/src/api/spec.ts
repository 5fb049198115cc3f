import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { default as addFormats } from 'ajv-formats';
import { parse } from 'yaml';

/** Where a request goes, according to the OpenAPI document. */
export interface Route {
  readonly operationId: string;
  readonly method: string;
  readonly parameters: Readonly<Record<string, string>>;
}

interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema?: object;
}

interface Media {
  readonly content?: Readonly<Record<string, { readonly schema?: object } | undefined>>;
  readonly required?: boolean;
  readonly $ref?: string;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Media;
  readonly responses: Readonly<Record<string, Media | undefined>>;
}

interface Entry {
  readonly method: string;
  readonly pathKey: string;
  readonly segments: readonly string[];
  readonly operation: Operation;
  readonly parameters: readonly Parameter[];
}

interface Document {
  readonly paths: Readonly<Record<string, Record<string, unknown>>>;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const JSON_TYPE = 'application/json';
const ID = 'neon';

/** The OpenAPI document of Neon's API, as the official client ships it: routes, and validators made on first use. */
export class ApiSpec {
  readonly #document: Document;
  readonly #bodies: Ajv;
  readonly #texts: Ajv;
  readonly #entries = new Map<string, Entry[]>();
  readonly #byId = new Map<string, Entry>();
  readonly #validators = new Map<string, ValidateFunction | undefined>();

  private constructor(document: Document) {
    this.#document = document;
    const common = { strict: false, validateSchema: false, allErrors: true, logger: false } as const;
    this.#bodies = withFormats(new Ajv(common));
    this.#texts = withFormats(new Ajv({ ...common, coerceTypes: 'array', useDefaults: true }));
    for (const ajv of [this.#bodies, this.#texts]) ajv.addSchema(document, ID);
    for (const [pathKey, item] of Object.entries(document.paths)) {
      const shared = (item['parameters'] ?? []) as Parameter[];
      for (const method of METHODS.filter((name) => name in item))
        this.#add(method, pathKey, item[method] as Operation, shared);
    }
  }

  /** Reads the document. @throws Error when the client package doesn't hold it */
  static async load(): Promise<ApiSpec> {
    const manifest = createRequire(import.meta.url).resolve('@neondatabase/api-client/package.json');
    const text = await readFile(path.join(path.dirname(manifest), 'public-v2-for-users.gen.yaml'), 'utf8');
    return new ApiSpec(parse(text) as Document);
  }

  /** Finds the operation behind a path below `/api/v2`. */
  route(method: string, pathname: string): Route | 'no-such-path' | 'no-such-method' {
    const segments = pathname.split('/').slice(1);
    const candidates = (this.#entries.get(String(segments.length)) ?? []).filter((entry) =>
      fits(entry.segments, segments),
    );
    const entry = candidates.find((candidate) => candidate.method === method);
    if (!entry) return candidates.length > 0 ? 'no-such-method' : 'no-such-path';
    const parameters: Record<string, string> = {};
    entry.segments.forEach((segment, index) => {
      if (segment.startsWith('{')) parameters[segment.slice(1, -1)] = decode(segments[index] ?? '');
    });
    return { operationId: entry.operation.operationId, method, parameters };
  }

  /** Problems with a request's query, which gets its types and defaults on the way. */
  checkQuery(operationId: string, query: Record<string, unknown>): string[] {
    const validate = this.#validator(
      `${operationId} query`,
      () => this.#parameterSchema(operationId, 'query'),
      this.#texts,
    );
    return problems(validate, query, 'query');
  }

  /** Problems with the parameters in a request's path. */
  checkPath(operationId: string, parameters: Record<string, unknown>): string[] {
    const validate = this.#validator(
      `${operationId} path`,
      () => this.#parameterSchema(operationId, 'path'),
      this.#texts,
    );
    return problems(validate, parameters, 'path');
  }

  /** Problems with a request's body. */
  checkBody(operationId: string, body: unknown): string[] {
    const media = this.#byId.get(operationId)?.operation.requestBody;
    if (!media) return body === undefined ? [] : ['this operation takes no body'];
    if (body === undefined) return media.required === true ? ['this operation needs a JSON body'] : [];
    const { pathKey, method } = this.#entry(operationId);
    const pointer = ['paths', pathKey, method, 'requestBody'];
    return problems(
      this.#validator(`${operationId} body`, () => this.#contentSchema(media, pointer), this.#bodies),
      body,
      'body',
    );
  }

  /** Problems with an answer of ours. */
  checkAnswer(operationId: string, status: number, body: unknown): string[] {
    const { operation, pathKey, method } = this.#entry(operationId);
    const key = operation.responses[String(status)] ? String(status) : 'default';
    const media = operation.responses[key];
    if (!media || (key === 'default' && status < 400))
      return [`the API has no answer ${String(status)} to ${operationId}`];
    const pointer = ['paths', pathKey, method, 'responses', key];
    const validate = this.#validator(`${operationId} ${key}`, () => this.#contentSchema(media, pointer), this.#bodies);
    return validate ? problems(validate, body, 'answer') : body === undefined ? [] : ['the API gives no body here'];
  }

  #add(method: string, pathKey: string, operation: Operation, shared: readonly Parameter[]): void {
    const segments = pathKey.split('/').slice(1);
    const parameters = [...shared, ...(operation.parameters ?? [])].map((parameter) => this.#resolve(parameter));
    const entry = { method, pathKey, segments, operation, parameters };
    const length = String(segments.length);
    const literalFirst = [...(this.#entries.get(length) ?? []), entry].sort((a, b) => literals(b) - literals(a));
    this.#entries.set(length, literalFirst);
    this.#byId.set(operation.operationId, entry);
  }

  #entry(operationId: string): Entry {
    const entry = this.#byId.get(operationId);
    if (!entry) throw new Error(`the API has no operation ${operationId}`);
    return entry;
  }

  #resolve<Value extends { readonly $ref?: string }>(value: Value): Value {
    if (value.$ref === undefined) return value;
    let target: unknown = this.#document;
    for (const part of value.$ref.slice(2).split('/')) target = (target as Record<string, unknown>)[part];
    return target as Value;
  }

  #parameterSchema(operationId: string, place: string): object {
    const parameters = this.#entry(operationId).parameters.filter((parameter) => parameter.in === place);
    const properties = Object.fromEntries(parameters.map(({ name, schema }) => [name, absolute(schema ?? {})]));
    const required = parameters.filter((parameter) => parameter.required === true).map(({ name }) => name);
    return { type: 'object', properties, required, ...(place === 'query' ? { additionalProperties: false } : {}) };
  }

  #contentSchema(media: Media, pointer: readonly string[]): object | undefined {
    const at = media.$ref === undefined ? pointer : media.$ref.slice(2).split('/');
    if (!this.#resolve(media).content?.[JSON_TYPE]?.schema) return undefined;
    const escaped = [...at, 'content', JSON_TYPE, 'schema'].map((part) =>
      encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')),
    );
    return { $ref: `${ID}#/${escaped.join('/')}` };
  }

  #validator(key: string, schema: () => object | undefined, ajv: Ajv): ValidateFunction | undefined {
    if (!this.#validators.has(key)) {
      const made = schema();
      this.#validators.set(key, made && ajv.compile(made));
    }
    return this.#validators.get(key);
  }
}

function withFormats(ajv: Ajv): Ajv {
  addFormats.default(ajv);
  ajv.addFormat('int', true);
  return ajv;
}

/** A reference as it is written within the document, for a schema outside of it. */
function absolute(schema: object): object {
  const reference: unknown = Reflect.get(schema, '$ref');
  return typeof reference === 'string' && reference.startsWith('#') ? { $ref: ID + reference } : schema;
}

const literals = (entry: Entry) => entry.segments.filter((segment) => !segment.startsWith('{')).length;

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return pattern.every((part, index) => (part.startsWith('{') ? segments[index] !== '' : part === segments[index]));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function problems(validate: ValidateFunction | undefined, value: unknown, what: string): string[] {
  if (!validate || validate(value)) return [];
  return (validate.errors ?? []).map((error: ErrorObject) => {
    const extra = error.keyword === 'additionalProperties' ? ` (${String(error.params['additionalProperty'])})` : '';
    return `${what}${error.instancePath}: ${error.message ?? error.keyword}${extra}`;
  });
}
