# Keeps one program running for as long as somebody holds our standard input, then ends it.
#
# The end of that pipe comes with the death of the holder, however it dies; so nothing that the kit
# starts outlives the kit. For a daemon this script is process 1 of its own process and mount
# namespaces: when it exits, the kernel ends every container and drops every mount of that daemon.
#
# The program runs in the foreground, because a shell starts background programs with signals
# ignored, and containers would inherit that.
#
# usage: keeper STATE keep|remove COMMAND...
state=$1 fate=$2
shift 2
# A background list would read from nowhere: keep the pipe under another number.
exec 3<&0 </dev/null

{
    while read -r _ <&3; do :; done
    pid=$(cat "$state/pid")
    kill -TERM "$pid" 2>/dev/null
    # Ten seconds to write its databases; a program whose state is thrown away needs less.
    tries=0
    [ "$fate" = remove ] && tries=80
    while [ ! -e "$state/exit" ] && [ $tries -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
} &

sh -c 'echo $$ >"$0"; exec "$@"' "$state/pid" "$@" 3<&- >>"$state/log" 2>&1
echo $? >"$state/exit"
wait

if [ "$fate" = remove ]; then
    while read -r _ _ _ _ point _; do
        case $point in "$state"/*) umount -l "$point" 2>/dev/null ;; esac
    done </proc/self/mountinfo
    rm -rf --one-file-system "$state" 2>/dev/null
fi
exit 0
