/**
 * What any program may read of a system, unless the user says otherwise.
 *
 * @module
 */

import type { RootFolder } from "./root_folder.ts";
import { close } from "./host_calls.ts";
import { O } from "./host_constants.ts";
import { pathOf } from "./path_bytes.ts";

/** The word that stands for {@linkcode SYSTEM_FOLDERS} among allowed paths. */
export const SYSTEM = "@system";

/**
 * Where programs, their libraries and what belongs to them are (hier(7)): what
 * any user of the system may read, the same on every machine with the same
 * packages. Of /etc and /var, what programs and libraries read to work as they
 * do natively, and nothing that is made for a secret: no keys, no shadow, no
 * settings of a service, of the network or of a registry of packages.
 * /etc/passwd and /etc/group, which everybody may read, give users' names.
 */
export const SYSTEM_FOLDERS: readonly string[] = [
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/usr/bin",
  "/usr/sbin",
  "/usr/games",
  "/usr/lib",
  "/usr/lib32",
  "/usr/lib64",
  "/usr/libx32",
  "/usr/libexec",
  "/usr/share",
  "/usr/include",
  "/usr/local/bin",
  "/usr/local/sbin",
  "/usr/local/lib",
  "/usr/local/lib64",
  "/usr/local/libexec",
  "/usr/local/share",
  "/usr/local/include",
  "/nix/store",
  "/gnu/store",
  "/etc/R/Makeconf",
  "/etc/R/Renviron",
  "/etc/R/ldpaths",
  "/etc/alternatives",
  "/etc/bash.bashrc",
  "/etc/ca-certificates",
  "/etc/debian_version",
  "/etc/emacs",
  "/etc/fonts",
  "/etc/ghostscript",
  "/etc/gitconfig",
  "/etc/groff",
  "/etc/group",
  "/etc/inputrc",
  "/etc/ld-musl-x86_64.path",
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/ld.so.preload",
  "/etc/locale.alias",
  "/etc/locale.conf",
  "/etc/localtime",
  "/etc/magic",
  "/etc/mime.types",
  "/etc/nanorc",
  "/etc/nsswitch.conf",
  "/etc/octaverc",
  "/etc/os-release",
  "/etc/papersize",
  "/etc/passwd",
  "/etc/perl",
  "/etc/protocols",
  "/etc/sbclrc",
  "/etc/services",
  "/etc/sgml",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/terminfo",
  "/etc/texmf",
  "/etc/timezone",
  "/etc/vim",
  "/etc/xattr.conf",
  "/etc/xml",
  "/var/cache/fontconfig",
  "/var/lib/aspell",
  "/var/lib/dictionaries-common",
  "/var/lib/ghostscript",
  "/var/lib/texmf",
  "/var/lib/units",
  "/var/lib/xml-core",
];

/**
 * Folders of /etc whose name has a version, and what in them belongs to a
 * program: links in /usr/lib lead there. "": all of it. Passwords of a Java that
 * is managed from elsewhere are in such a folder too, and are not among it.
 */
const OF_VERSIONS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^ImageMagick-\d+$/, [""]],
  [/^java-\d+-openjdk$/, [
    "jvm-amd64.cfg",
    "logging.properties",
    "net.properties",
    "security",
  ]],
  [/^python3\.\d+$/, ["sitecustomize.py"]],
];

/** The paths of what {@linkcode OF_VERSIONS} names, for what is in /etc. */
function ofVersions(root: RootFolder): string[] {
  const etc = root.open("/etc", O.directory);
  if (etc < 0) return [];
  const found: string[] = [];
  try {
    for (const { name } of Deno.readDirSync(`/proc/self/fd/${etc}`)) {
      for (const [pattern, inside] of OF_VERSIONS) {
        if (!pattern.test(name)) continue;
        const folder = `/etc/${name}`;
        found.push(
          ...inside.map((file) => file ? `${folder}/${file}` : folder),
        );
      }
    }
  } finally {
    close(etc);
  }
  return found.sort();
}

/** What of a system programs may read: of all that is named, what is there. */
export function systemFolders(root: RootFolder): string[] {
  return [...SYSTEM_FOLDERS, ...ofVersions(root)].filter((path) => {
    const fd = root.open(pathOf(path), O.path);
    if (fd < 0) return false;
    close(fd);
    return true;
  });
}
