/** What a tenant is told apart by, and put in order by. */
export interface Identified {
  readonly name: string;
  readonly projectId: string;
  readonly database: string;
}

/** By name, then by what makes two of one name differ. */
export function compareTenants(a: Identified, b: Identified): number {
  return compareText(a.name, b.name) || compareText(a.projectId, b.projectId) || compareText(a.database, b.database);
}

/** The same text for the same database of the same project, and for no other. */
export function identityOf({ projectId, database }: Omit<Identified, 'name'>): string {
  return JSON.stringify([projectId, database]);
}

// Code unit order, not the machine's locale: the same fleet gives the same order everywhere.
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
