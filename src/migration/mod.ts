/**
 * Moving a VM from one VMM to another over a connection: they agree, the image
 * goes over, and the VM changes hands. It never runs on both sides.
 *
 * @module
 */

export { listenForVms, type ReceiveOptions, Receiver } from "./destination.ts";
export {
  MigrationError,
  type MigrationErrorCode,
  type Phase,
} from "./errors.ts";
export {
  askMigration,
  migrate,
  type MigrateOptions,
  type MigrationProgress,
} from "./source.ts";
