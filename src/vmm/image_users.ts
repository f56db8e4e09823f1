/**
 * Which image files memory is mapped from, in this process. Who could write one
 * would write the memory of every VM that is mapped from it; cutting it off
 * would end the process (SIGBUS).
 *
 * @module
 */

/** By device and inode: how many memories. */
const users = new Map<string, number>();

/** Whether any memory is mapped from a file. */
export function areImagesMapped(): boolean {
  return users.size > 0;
}

/**
 * Whether memory is mapped from a file.
 *
 * @param device its st_dev @param inode its st_ino
 */
export function isMappedImage(device: bigint, inode: bigint): boolean {
  return users.has(`${device}:${inode}`);
}

/** Notes that memory is mapped from an open file; gives what ends that. */
export function useImage(fd: number): () => void {
  const { dev, ino } = Deno.statSync(`/proc/self/fd/${fd}`);
  const key = `${dev}:${ino}`;
  users.set(key, (users.get(key) ?? 0) + 1);
  return () => {
    const left = users.get(key)! - 1;
    if (left > 0) users.set(key, left);
    else users.delete(key);
  };
}
