/** A Neon project as the project list gives it: no branch, database or role is known yet. */
export interface ProjectRef {
  readonly projectId: string;
  readonly name: string;
  readonly regionId: string;
  readonly pgVersion: number;
  readonly createdAt: string;
}

/** All projects that a key can see, as far as Neon could tell. */
export interface ProjectListing {
  readonly projects: readonly ProjectRef[];
  /** Projects that exist but whose data Neon could not give at the moment (`unavailable_project_ids`). */
  readonly unavailableProjectIds: readonly string[];
}
