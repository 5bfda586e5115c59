# Completion for `python server.py` and `python client.py`, whichever Python: . tools/completion.bash
#
# The programs answer by themselves, through argcomplete: it reads what bash knows from these
# variables, and writes what could follow to descriptor 8. argcomplete's own global completion knows
# `python server.py`, but not `.venv/bin/python server.py`.

_mp3_broadcast() {
    local IFS=$'\013'
    COMPREPLY=()
    case ${COMP_WORDS[1]##*/} in server.py | client.py) ;; *) return ;; esac
    COMPREPLY=($(
        export COMP_LINE COMP_POINT COMP_TYPE
        export _ARGCOMPLETE=2 _ARGCOMPLETE_SHELL=bash _ARGCOMPLETE_IFS="$IFS"
        export _ARGCOMPLETE_COMP_WORDBREAKS="$COMP_WORDBREAKS" _ARGCOMPLETE_SUPPRESS_SPACE=1
        "$1" "${COMP_WORDS[1]}" 8>&1 9>/dev/null 1>/dev/null 2>&1
    ))
    # What may go on, such as a folder or device:, is not followed by a space.
    if [[ ${COMPREPLY[0]-} == *[=/:,] ]]; then compopt -o nospace; fi
}
complete -o default -o bashdefault -F _mp3_broadcast python python3
