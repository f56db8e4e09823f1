/**
 * Programs that people have, each with arguments that make it do something.
 *
 * One line is one program. Arguments are chosen so that output is the same in
 * each run: no times, no process ids, no random numbers.
 *
 * @module
 */

import { BUSYBOX } from "./busybox.ts";
import { thisRepository } from "./repository.ts";

/** A program to run. */
export interface Program {
  /** What it is and does. */
  readonly name: string;
  /** Its name and arguments; it runs in a folder of its own (inputs.ts). */
  readonly argv: readonly string[];
  /** The Debian package that brings it. */
  readonly package: string;
  /** Its standard input; default: none. */
  readonly stdin?: string;
  /** Its exit status natively; default: 0. */
  readonly status?: number;
  /** Larger files that it works on. */
  readonly needs?: readonly string[];
  /** What a shell does, natively, in the folder before. */
  readonly setup?: string;
  /** What it may read besides the system and its folder. */
  readonly reads?: readonly string[];
  /** What it works on and is not here, whatever is installed. */
  readonly lacks?: string;
  /** Memory of the VM, MiB; default 512. */
  readonly memoryMiB?: number;
  /** Whether it prints how long something took: numbers are not compared. */
  readonly numbersDiffer?: boolean;
  /** Whether it is so short that each run of the tests has it. */
  readonly quick?: boolean;
}

/** What makes the commits of a repository the same in each run. */
const GIT =
  "export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.com GIT_AUTHOR_DATE='2020-02-02T02:02:02Z' GIT_COMMITTER_DATE='2020-02-02T02:02:02Z'; git init -q -b main . && git add lines tree && git commit -q -m first && git rm -q --cached tree/one && git add other && git commit -q -m second && git tag one && git add data.json && git commit -q -m third";

const SQL = `
PRAGMA journal_mode = delete;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, value REAL);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO item SELECT i, 'name' || (i * 7919 % 1000), i / 3.0 FROM n;
COMMIT;
CREATE INDEX by_name ON item (name);
SELECT name, count(*), sum(value) FROM item GROUP BY name ORDER BY name LIMIT 5;
UPDATE item SET value = value * 2 WHERE id % 10 = 0;
DELETE FROM item WHERE id % 7 = 0;
SELECT count(*), round(sum(value), 3) FROM item;
PRAGMA integrity_check;
VACUUM;
SELECT max(id) FROM item;
`;

const BASH = `
declare -A seen
while read -r word number line; do
  (( seen[$word] += number ))
  (( line > 400 )) && break
done < lines
for word in alpha beta gamma delta epsilon zeta eta; do
  printf '%-10s %d %x\\n' "$word" "\${seen[$word]}" "\${seen[$word]}"
done
fib() { if (( $1 < 2 )); then r=$1; else local a; fib $(( $1 - 1 )) 2>/dev/null; fi; }
set -- one two three; shift; echo "$# $* \${1^^} \${2:1:3}"
array=(5 3 9 1); for (( i = 0; i < 4; i++ )); do total=$(( total + array[i] ** 2 )); done
echo "$total" > total; read -r back < total; echo "back: $back"
[[ abc123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "\${BASH_REMATCH[1]}-\${BASH_REMATCH[2]}"
case $back in 1*) echo starts with 1;; *) echo no;; esac
mapfile -t rows < other; echo "\${#rows[@]} \${rows[17]}"
shopt -s extglob nullglob; echo tree/* "\${rows[3]//[0-9]/#}"
test -d tree -a -L link && echo found; type cd; exit 7
`;

const PYTHON = {
  json:
    "import json; d = json.load(open('data.json')); d.sort(key=lambda r: (r['name'], -r['id'])); json.dump(d, open('out.json', 'w'), indent=1); print(len(d), d[0], d[-1])",
  threading: `
import threading, queue
q = queue.Queue(); lock = threading.Lock(); total = 0
def work():
    global total
    while (n := q.get()) is not None:
        s = sum(i * i for i in range(n))
        with lock: total += s
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for n in range(200): q.put(n * 10)
for t in threads: q.put(None)
for t in threads: t.join()
print(total)
`,
  asyncio: `
import asyncio
async def step(n):
    for i in range(5): await asyncio.sleep(0.001 * (n % 3))
    return n * n
async def main():
    results = await asyncio.gather(*(step(n) for n in range(40)))
    print(sum(results))
    print(await asyncio.wait_for(step(3), 60))
    print(await asyncio.to_thread(sum, range(1000)))
asyncio.run(main())
`,
  sqlite3: `
import sqlite3
db = sqlite3.connect('p.db')
db.execute('create table t (a integer, b text)')
db.executemany('insert into t values (?, ?)', ((i, 'x' * (i % 50)) for i in range(2000)))
db.execute('create index i on t (b)')
db.commit()
print(db.execute('select count(*), sum(length(b)) from t where a % 3 = 0').fetchone())
`,
  ctypes: `
import ctypes
libc = ctypes.CDLL('libc.so.6')
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
a = (ctypes.c_int * 50)(*[(i * 37) % 50 for i in range(50)])
libc.qsort(a, len(a), ctypes.sizeof(ctypes.c_int), compare(lambda x, y: x[0] - y[0]))
print(list(a), libc.strlen(b'four'))
`,
  hashlib: `
import hashlib
data = open('bytes', 'rb').read()
for name in sorted(hashlib.algorithms_guaranteed):
    if not name.startswith('shake'): print(name, hashlib.new(name, data).hexdigest())
print(hashlib.pbkdf2_hmac('sha256', b'p', b's', 5000).hex())
`,
  compute: `
def sieve(n):
    s = bytearray([1]) * (n + 1); s[0:2] = b'\\0\\0'
    for i in range(2, int(n ** .5) + 1):
        if s[i]: s[i*i::i] = bytes(len(range(i*i, n + 1, i)))
    return sum(s)
x = 1
for i in range(ROUNDS): x = (x * 6364136223846793005 + 1442695040888963407) % 2 ** 64
print(sieve(200000), x, len(str(3 ** 8000)))
`,
};

const PERL = `
my %n; open(my $f, '<', 'lines') or die;
while (<$f>) { my ($w, $v) = split; $n{$w} += $v; }
printf "%-8s %d\\n", $_, $n{$_} for sort keys %n;
my $t = join ',', map { $_ ** 2 } grep { $_ % 3 } 1 .. 50; $t =~ s/(\\d+)9/<$1>/g; print "$t\\n";
open(my $o, '>', 'out') or die; print $o reverse sort <STDIN>; close $o; exit 3;
`;

const LUA = `
local n = {}
for line in io.lines('lines') do
  local w, v = line:match('(%a+) (%d+)'); n[w] = (n[w] or 0) + v
end
local names = {}; for w in pairs(n) do names[#names + 1] = w end
table.sort(names); for _, w in ipairs(names) do print(w, n[w] // 1) end
local c = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(c(), c(), c()); print(string.format('%q %5.2f', 'a\\nb', math.pi))
local f = assert(io.open('out', 'w')); f:write(('x'):rep(10000)); f:close()
local s = 0; for i = 1, 300000 do s = (s * 31 + i) % 1000007 end; print(s); os.exit(4)
`;

const JS = `
const words = {}; const fs = require('fs');
for (const line of fs.readFileSync('lines', 'utf8').trim().split('\\n')) {
  const [w, v] = line.split(' '); words[w] = (words[w] ?? 0) + Number(v);
}
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
let h = 0; for (let i = 0; i < 3e5; i++) h = (Math.imul(h, 31) + i) | 0;
fs.writeFileSync('out', JSON.stringify(words)); console.log(words, fib(22), h, 2n ** 100n);
setTimeout(() => { console.log('later'); process.exitCode = 5; }, 5);
`;

const JAVA = `
import java.util.*; import java.util.stream.*;
public class Main { public static void main(String[] a) throws Exception {
  Map<String, Long> n = new TreeMap<>();
  for (String l : java.nio.file.Files.readAllLines(java.nio.file.Path.of("lines"))) {
    String[] p = l.split(" "); n.merge(p[0], Long.parseLong(p[1]), Long::sum); }
  System.out.println(n + " " + IntStream.range(0, Integer.parseInt(a[0])).mapToLong(i -> (long) i * i).sum());
} }
`;

const RUBY = `
n = Hash.new(0); File.foreach('lines') { |l| w, v = l.split; n[w] += v.to_i }
n.sort.each { |w, v| puts format('%-8s %d', w, v) }
q = Queue.new; t = Thread.new { 5.times { |i| q << i * i }; q << nil }
while (x = q.pop); print x, ' '; end; t.join; GC.start
begin; Integer('x'); rescue ArgumentError => e; puts e.message; end
puts STDIN.read.upcase, 2**100, (1..2000).reduce(:lcm).to_s.size; exit 6
`;

const PHP = `
foreach (file('lines') as $l) { [$w, $v] = explode(' ', $l); $n[$w] = ($n[$w] ?? 0) + $v; }
ksort($n); echo json_encode($n), PHP_EOL; preg_match_all('/[a-z]{5}/', implode(' ', array_keys($n)), $m);
usort($m[0], fn($a, $b) => strcmp(strrev($a), strrev($b))); echo implode(',', $m[0]), PHP_EOL;
for ($h = 0, $i = 0; $i < 100000; $i++) $h = ($h * 31 + $i) % 1000003; echo $h, PHP_EOL;
file_put_contents('out', hash('sha256', file_get_contents('bytes'))); exit(7);
`;

const LISP = `
(progn (let ((n (make-hash-table :test (quote equal))))
  (with-open-file (in "lines") (loop for l = (read-line in nil) while l do
    (incf (gethash (subseq l 0 (position #\\Space l)) n 0) (length l))))
  (format t "~a~%" (sort (loop for k being the hash-keys of n using (hash-value v) collect (list k v)) (function string<) :key (function first))))
  (gc :full t) (format t "~a ~a~%" (expt 3 200) (handler-case (/ 1 0) (division-by-zero () "no"))))
`;

const SCHEME = `
(use-modules (ice-9 rdelim))
(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(call-with-input-file "lines" (lambda (in) (let loop ((l (read-line in)) (n 0))
  (if (eof-object? l) (begin (display n) (newline)) (loop (read-line in) (+ n (string-length l)))))))
(display (list (fib 18) (expt 7 60) (call/cc (lambda (k) (k 5))))) (newline) (exit 3)
`;

const TCL = `
set f [open lines]; while {[gets $f l] >= 0} { lassign $l w v; incr n($w) $v }; close $f
foreach w [lsort [array names n]] { puts [format "%-8s %d" $w $n($w)] }
after 5 { set done 1 }; vwait done; puts [expr {2 ** 90}]; puts [regsub -all {a} [read stdin] b]; exit 2
`;

/** What makes a class of it. */
const JAVAC = `printf '%s' '${JAVA}' > Main.java && javac Main.java`;

/** Of one that is not there, a line says so. */
const REPOSITORY = thisRepository();

/** All of them. */
export const PROGRAMS: readonly Program[] = [
  ...BUSYBOX,
  // deno-fmt-ignore
  ...([
    { name: "bash: builtins", package: "bash", status: 7, argv: ["bash", "--norc", "-c", BASH], quick: true },
    { name: "dash: loop", package: "dash", status: 9, argv: ["dash", "-c", "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; echo $i; read -r a b < lines; echo $b; exit 9"] },
    { name: "bash: -c with one command", package: "bash", argv: ["bash", "--norc", "-c", "sort -n -k2 lines"] },
    { name: "bash: exec", package: "bash", argv: ["bash", "--norc", "-c", "exec 3< other; exec cut -d ' ' -f 1-2 lines - <&3"] },
    { name: "env", package: "coreutils", argv: ["env", "-i", "A=1", "B=x y", "printenv"], quick: true },
    { name: "nice", package: "coreutils", argv: ["nice", "-n", "7", "nice"] },
    { name: "cat", package: "coreutils", status: 1, argv: ["cat", "lines", "-", "bytes", "none"], stdin: "from stdin\n", quick: true },
    { name: "ls: long", package: "coreutils", argv: ["ls", "-lR", "--time-style=full-iso", "tree", "lines"] },
    { name: "sort: keys", package: "coreutils", argv: ["sort", "-k2,2n", "-k1,1r", "lines"], quick: true },
    { name: "sort: 100 MB", package: "coreutils", argv: ["sort", "--parallel=2", "-S", "300M", "-T", ".", "-o", "sorted", "lines.100M"], needs: ["lines.100M"], memoryMiB: 1024 },
    { name: "sort: 10 MB, temporary files", package: "coreutils", argv: ["sort", "--parallel=1", "-S", "2M", "-T", ".", "-o", "sorted", "lines.10M"], needs: ["lines.10M"] },
    { name: "sha256sum", package: "coreutils", status: 1, argv: ["sha256sum", "lines", "bytes", "none"], quick: true },
    { name: "b2sum", package: "coreutils", argv: ["b2sum", "lines", "bytes"] },
    { name: "md5sum: check", package: "coreutils", argv: ["md5sum", "-c", "sums"], setup: "md5sum lines bytes > sums" },
    { name: "wc", package: "coreutils", argv: ["wc", "lines", "bytes", "empty", "-"], stdin: "a b\nc\n" },
    { name: "uniq, from stdin", package: "coreutils", argv: ["uniq", "-c"], stdin: "a\na\nb\na\n" },
    { name: "cut", package: "coreutils", argv: ["cut", "-d", " ", "-f", "2,3", "lines"] },
    { name: "tr", package: "coreutils", argv: ["tr", "a-z", "A-Z"], stdin: "hello there\n".repeat(5000) },
    { name: "head", package: "coreutils", argv: ["head", "-n", "50", "lines", "other"] },
    { name: "tail", package: "coreutils", argv: ["tail", "-c", "500", "lines"] },
    { name: "tac", package: "coreutils", argv: ["tac", "lines"] },
    { name: "nl", package: "coreutils", argv: ["nl", "-ba", "lines"] },
    { name: "od", package: "coreutils", argv: ["od", "-A", "x", "-t", "x1z", "-N", "2000", "bytes"] },
    { name: "base64", package: "coreutils", argv: ["base64", "bytes"] },
    { name: "comm", package: "coreutils", argv: ["comm", "a", "b"], setup: "sort lines > a && sort other > b" },
    { name: "join", package: "coreutils", argv: ["join", "-1", "3", "-2", "3", "a", "b"], setup: "sort -k3,3 lines > a && sort -k3,3 other > b" },
    { name: "paste", package: "coreutils", argv: ["paste", "lines", "other"] },
    { name: "split", package: "coreutils", argv: ["split", "-l", "500", "lines", "part."] },
    { name: "shuf, seeded", package: "coreutils", argv: ["shuf", "--random-source=bytes", "lines"] },
    { name: "factor", package: "coreutils", argv: ["factor", "123456789012345678901234567890", "97", "1000000007000000049"] },
    { name: "seq", package: "coreutils", argv: ["seq", "-s", ",", "1", "0.5", "3000"] },
    { name: "expr", package: "coreutils", argv: ["expr", "2", "*", "21"] },
    { name: "cp: tree", package: "coreutils", argv: ["cp", "-a", "tree", "link", "copy-of"], setup: "mkdir copy-of" },
    { name: "mv", package: "coreutils", argv: ["mv", "-v", "lines", "tree/moved"] },
    { name: "rm: tree", package: "coreutils", status: 1, argv: ["rm", "-rv", "tree", "link", "none"] },
    { name: "ln", package: "coreutils", argv: ["ln", "-sv", "deep", "tree/to-deep"] },
    { name: "ln: up", package: "coreutils", argv: ["ln", "-sv", "../lines", "/usr/bin", "tree/"] },
    { name: "mkdir", package: "coreutils", argv: ["mkdir", "-pv", "-m", "750", "x/y/z"] },
    { name: "chmod", package: "coreutils", argv: ["chmod", "-Rv", "u=rwX,g=rX,o=", "tree"] },
    { name: "touch", package: "coreutils", argv: ["touch", "-d", "2021-03-04T05:06:07Z", "lines", "fresh"] },
    { name: "stat", package: "coreutils", argv: ["stat", "-c", "%n %s %a %F %y %h", "lines", "tree", "tree/one"] },
    { name: "du", package: "coreutils", argv: ["du", "-b", "tree", "lines"] },
    { name: "dd", package: "coreutils", argv: ["dd", "if=bytes", "of=out", "bs=777", "skip=3", "count=90", "conv=notrunc", "status=none"] },
    { name: "truncate", package: "coreutils", argv: ["truncate", "-s", "12345", "bytes", "hole"] },
    { name: "tee", package: "coreutils", argv: ["tee", "out", "tree/out"], stdin: "some text\n".repeat(200) },
    { name: "date", package: "coreutils", argv: ["date", "-u", "-d", "@1234567890", "+%F %T %j %U"] },
    { name: "readlink", package: "coreutils", status: 1, argv: ["readlink", "-v", "link", "lines"] },
    { name: "realpath", package: "coreutils", argv: ["realpath", "--relative-to=.", "link", "tree/../tree/deep"] },
    { name: "test", package: "coreutils", argv: ["/usr/bin/test", "lines", "-nt", "none"] },
    { name: "printf", package: "coreutils", argv: ["/usr/bin/printf", "%5d|%-5s|%q\\n", "42", "ab", "it's"] },
    { name: "numfmt", package: "coreutils", argv: ["numfmt", "--to=iec", "1000", "2048000", "3000000000"] },
    { name: "gawk: sums", package: "gawk", argv: ["gawk", "{ n[$1] += $2; m[$1] = m[$1] < $3 ? $3 : m[$1] } END { for (w in n) printf \"%s %.3f %d\\n\", w, n[w] / 7, m[w] | \"cat\"; PROCINFO[\"sorted_in\"] = \"@ind_str_asc\" }".replace(' | "cat"', ""), "lines"], quick: true },
    { name: "gawk: functions", package: "gawk", argv: ["gawk", "function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(20), strftime(\"%F\", 0, 1), gensub(/(a)(b)/, \"\\\\2\\\\1\", \"g\", \"abab\"), length(sprintf(\"%1000s\", \"\")) }"] },
    { name: "mawk: sums", package: "mawk", argv: ["mawk", "{ n[$1] += $2 } END { print n[\"alpha\"], n[\"beta\"] }", "lines"] },
    { name: "sed: substitutions", package: "sed", argv: ["sed", "-nE", "s/^alpha ([0-9]+)/\\1 &/p; $=", "lines"], quick: true },
    { name: "sed: in place", package: "sed", argv: ["sed", "-i", "s/beta/BETA/; /zeta/d", "lines"] },
    { name: "grep: expressions", package: "grep", argv: ["grep", "-nE", "^(alpha|beta) [0-9]*7 ", "lines"], quick: true },
    { name: "grep: tree", package: "grep", argv: ["grep", "-rc", "e", "tree"] },
    { name: "bc: pi", package: "bc", argv: ["bc", "-lq"], stdin: "scale=200; 4*a(1)\nfor (i = 0; i < 20; i++) i^i\n", quick: true },
    { name: "dc: powers", package: "dc", argv: ["dc", "-e", "2 1000 ^ p 10 k 2 v p [la 1 + d sa 500 >x] sx 0 sa lx x la p"], quick: true },
    { name: "gzip", package: "gzip", argv: ["gzip", "-n9k", "lines", "bytes"], quick: true },
    { name: "gunzip: stdout", package: "gzip", argv: ["gzip", "-dc", "lines.gz"], setup: "gzip -nk lines" },
    { name: "gzip: 10 MB", package: "gzip", argv: ["gzip", "-n", "lines.10M"], needs: ["lines.10M"] },
    { name: "bzip2", package: "bzip2", argv: ["bzip2", "-k", "lines", "bytes"] },
    { name: "bunzip2", package: "bzip2", argv: ["bzip2", "-d", "lines.bz2"], setup: "bzip2 lines" },
    { name: "xz", package: "xz-utils", argv: ["xz", "-k", "-T1", "lines", "bytes"] },
    { name: "xz: threads", package: "xz-utils", argv: ["xz", "-k", "-T2", "--block-size=300KiB", "lines.1M"], needs: ["lines.1M"] },
    { name: "unxz", package: "xz-utils", argv: ["xz", "-d", "lines.xz"], setup: "xz lines" },
    { name: "zstd", package: "zstd", argv: ["zstd", "-q", "-k", "--single-thread", "lines", "bytes"] },
    { name: "zstd: threads", package: "zstd", argv: ["zstd", "-q", "-k", "-T2", "-10", "lines.1M"], needs: ["lines.1M"] },
    { name: "unzstd", package: "zstd", argv: ["zstd", "-q", "-f", "-d", "lines.zst"], setup: "zstd -q lines" },
    { name: "tar", package: "tar", argv: ["tar", "-cf", "out.tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "lines", "tree", "link"] },
    { name: "tar: unpack links", package: "tar", argv: ["tar", "-xvf", "links.tar"], setup: "mkdir l && ln -s ../lines l/up && ln -s /usr/bin l/away && tar -cf links.tar l && rm -r l" },
    { name: "diff", package: "diffutils", status: 1, argv: ["diff", "-u", "--label=a", "--label=b", "lines", "other"] },
    { name: "cmp", package: "diffutils", status: 1, argv: ["cmp", "lines", "other"] },
    { name: "find", package: "findutils", argv: ["find", ".", "-type", "f", "-size", "+0", "-newermt", "2019-01-01", "-printf", "%s %m %f\\n"] },
    { name: "file names: find -delete", package: "findutils", status: 1, argv: ["find", "tree", "-depth", "-name", "t*", "-print", "-delete"] },
    { name: "sqlite3: a database on disk", package: "sqlite3", argv: ["sqlite3", "-batch", "base.db"], stdin: SQL, quick: true },
    { name: "sqlite3: WAL", package: "sqlite3", argv: ["sqlite3", "-batch", "wal.db"], stdin: SQL.replace("= delete", "= wal") },
    { name: "lua5.4", package: "lua5.4", status: 4, argv: ["lua5.4", "-e", LUA], quick: true },
    { name: "python3: 2**100", package: "python3", argv: ["/usr/bin/python3", "-c", "print(2**100)"] },
    { name: "python3: json", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.json], quick: true },
    { name: "python3: threading", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.threading], quick: true },
    { name: "python3: asyncio", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.asyncio] },
    { name: "python3: sqlite3", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.sqlite3] },
    { name: "python3: ctypes", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.ctypes] },
    { name: "python3: hashlib", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.hashlib] },
    { name: "python3: computation", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.compute.replace("ROUNDS", "100_000")] },
    { name: "python3: a computation of 10 s", package: "python3", argv: ["/usr/bin/python3", "-c", PYTHON.compute.replace("ROUNDS", "60_000_000")] },
    { name: "python3: from stdin", package: "python3", status: 6, argv: ["/usr/bin/python3", "-"], stdin: "import sys\nprint(sys.stdin.read() == '')\nraise SystemExit(6)\n" },
    { name: "ruby", package: "ruby", status: 6, argv: ["ruby", "-e", RUBY], stdin: "some text\n" },
    { name: "php", package: "php-cli", status: 7, argv: ["php", "-r", PHP] },
    { name: "sbcl", package: "sbcl", argv: ["sbcl", "--noinform", "--no-userinit", "--no-sysinit", "--non-interactive", "--eval", LISP], memoryMiB: 2048 },
    { name: "guile", package: "guile-3.0", status: 3, argv: ["guile", "--no-auto-compile", "-c", SCHEME] },
    { name: "tclsh", package: "tcl", status: 2, argv: ["tclsh", "program.tcl"], stdin: "banana\n", setup: `printf '%s' '${TCL}' > program.tcl` },
    { name: "luajit", package: "luajit", argv: ["luajit", "-e", "local s = 0; for i = 1, 3e6 do s = (s * 31 + i) % 1000007 end; print(s, (jit.status()))"] },
    { name: "fzf (Go)", package: "fzf", argv: ["fzf", "--filter=alp9"], stdin: "alpha 9\nbeta 8\nalpha 19\n".repeat(300) },
    { name: "ripgrep (Rust)", package: "ripgrep", argv: ["rg", "--sort=path", "-n", "^(alpha|beta) \\d*7 ", "lines", "other", "tree"] },
    { name: "shellcheck (Haskell)", package: "shellcheck", status: 1, argv: ["shellcheck", "--norc", "program.sh"], setup: `printf '#!/bin/bash\nfor f in $(ls *.txt); do echo $f; done\n' > program.sh` },
    { name: "file", package: "file", argv: ["file", "lines", "bytes", "data.json", "tree", "/bin/ls"] },
    { name: "tree", package: "tree", argv: ["tree", "-a", "--noreport", "."] },
    { name: "perl", package: "perl", status: 3, argv: ["perl", "-we", PERL], stdin: "b\na\nc\n", quick: true },
    { name: "openssl enc", package: "openssl", argv: ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-iter", "2000", "-S", "0011223344556677", "-pass", "pass:x", "-in", "lines", "-out", "lines.enc"], quick: true },
    { name: "openssl speed", package: "openssl", argv: ["openssl", "speed", "-seconds", "1", "-bytes", "64", "sha256"], numbersDiffer: true },
    { name: "openssl dgst", package: "openssl", argv: ["openssl", "dgst", "-sha3-256", "lines", "bytes"] },
    { name: "openssl prime", package: "openssl", argv: ["openssl", "prime", "1000000007", "340282366920938463463374607431768211507"] },
    { name: "cc1", package: "cpp-12", argv: ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "-quiet", "-imultiarch", "x86_64-linux-gnu", "-O2", "program.c", "-o", "program.s"] },
    { name: "as", package: "binutils", argv: ["as", "program.s", "-o", "program.o"], setup: "gcc -O2 -S program.c" },
    { name: "ld", package: "binutils", argv: ["ld", "-r", "a.o", "-o", "b.o"], setup: "gcc -O2 -c program.c -o a.o" },
    { name: "objdump", package: "binutils", argv: ["objdump", "-d", "a.o"], setup: "gcc -O2 -c program.c -o a.o" },
    { name: "jq", package: "jq", argv: ["jq", "-S", "group_by(.name) | map({name: .[0].name, n: length, ids: [.[].id], x: (map(.nested.x) | add)})", "data.json"], quick: true },
    { name: "git log", package: "git", argv: ["git", "--no-pager", "-c", "safe.directory=*", "log", "--stat", "--format=%H %an %ad %s", "--date=iso"], setup: GIT, quick: true },
    { name: "git log on this repository", package: "git", argv: ["git", "--no-pager", "-c", "safe.directory=*", "-C", REPOSITORY?.root ?? ".", "log", "--stat", "-n", "50", REPOSITORY?.head ?? "HEAD"], reads: REPOSITORY?.reads, lacks: REPOSITORY ? undefined : "repository of this checkout" },
    { name: "git diff", package: "git", argv: ["git", "--no-pager", "-c", "safe.directory=*", "diff", "main~2", "main", "--", "tree", "data.json"], setup: GIT },
    { name: "node --jitless", package: "nodejs", status: 5, argv: ["node", "--jitless", "-e", JS], memoryMiB: 2048 },
    { name: "node", package: "nodejs", status: 5, argv: ["node", "-e", JS], memoryMiB: 2048 },
    { name: "java: interpreted", package: "openjdk-17-jdk-headless", argv: ["java", "-Xint", "-XX:+UseSerialGC", "-Xmx64m", "-XX:-UsePerfData", "-cp", ".", "Main", "100000"], setup: JAVAC, memoryMiB: 2048 },
    { name: "java: compiled", package: "openjdk-17-jdk-headless", argv: ["java", "-Xmx64m", "-XX:-UsePerfData", "-cp", ".", "Main", "20000000"], setup: JAVAC, memoryMiB: 2048 },
    { name: "java", package: "openjdk-17-jdk-headless", argv: ["java", "-Xmx64m", "-XX:-UsePerfData", "-Xshare:auto", "-version"], memoryMiB: 2048 },
  ] satisfies Program[]),
];
