/**
 * System calls on files and folders, compared with Linux.
 *
 * @module
 */

import { compareTest } from "./compare.ts";
import { prepareFolders } from "./prepare.ts";

compareTest("files", "every call on files answers as Linux's");
compareTest("lseek", "offsets move as Linux's");
compareTest("vectors", "readv, writev and their kin answer as Linux's");
compareTest("file_limit", "files become no longer than their limit", {
  args: ["ends"],
});
compareTest("folders", "folders and names are as Linux's", {
  prepare: prepareFolders,
});
compareTest("attributes", "permissions, owner and times change as on Linux");
compareTest("kept", "files in memory are sealed", { args: ["seals"] });
compareTest("kept", "files that are mapped for writing are sealed", {
  args: ["future"],
});
compareTest("kept", "files without a name get one", { args: ["named"] });
