/** An answer of the API that is not what was asked for. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  /**
   * @param status HTTP status
   * @param code the API's short code, e.g. `BRANCH_NOT_FOUND`; empty where Neon gives none
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

export const notFound = (code: string, what: string) => new ApiError(404, code, `${what} not found`);
export const badRequest = (message: string) => new ApiError(400, 'BAD_REQUEST', message);
export const conflict = (code: string, message: string) => new ApiError(409, code, message);
export const unprocessable = (message: string) => new ApiError(422, 'UNPROCESSABLE_ENTITY', message);

/** What Neon answers while another operation holds the project. */
export const projectLocked = () =>
  new ApiError(
    423,
    'PROJECT_LOCKED',
    'project already has running conflicting operations, scheduling of new ones is prohibited',
  );
