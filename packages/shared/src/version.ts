/** The version of this tool, as it is written into manifests and sent to Neon. Equal to that of the package. */
export const TOOL_VERSION = '0.1.0';
