#!/bin/sh
# Runs a compiler's command line and keeps what ptxas -v says in OBJECT.ptxas; everything else that is said is passed on.
object=
previous=
for argument in "$@"; do
  [ "$previous" != -o ] || object=$argument
  previous=$argument
done
[ -n "$object" ] || exec "$@"
"$@" 2>"$object.log"
status=$?
pattern='^ptxas info|^ +[0-9]+ bytes stack frame'
grep -E "$pattern" "$object.log" >"$object.ptxas"
grep -vE "$pattern" "$object.log" >&2
rm -f "$object.log"
exit $status
