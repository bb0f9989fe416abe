#!/usr/bin/env bash
# Brings a branch up to date by a commit: an empty repository gets SEED's folders, and FILES are put over what is there.
# Whoever pushes meanwhile is not overwritten: the commit is made anew on what they pushed.
# usage: publish.sh URL BRANCH SEED FILES AUTHOR MESSAGE [check]
# prints the commit that the branch is at, after a line "changed" and what changed, if something did (or, with check, would)
set -euo pipefail

url=$1 branch=$2 seed=$3 files=$4 author=$5 message=$6 check=${7:-}
export GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=${author% <*} GIT_AUTHOR_EMAIL=${author##*<}
GIT_AUTHOR_EMAIL=${GIT_AUTHOR_EMAIL%>}
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git init --quiet --initial-branch="$branch" "$work"
cd "$work"
# A hook of this machine's own has no say in it.
git config core.hooksPath /dev/null

for attempt in 1 2 3 4 5; do
  known=$(git ls-remote "$url" "refs/heads/$branch")
  if [[ -n $known ]]; then
    git fetch --quiet --depth 1 "$url" "refs/heads/$branch"
    git checkout --quiet --force -B "$branch" FETCH_HEAD
    git clean --quiet -dfx
  else
    git update-ref -d HEAD
    [[ ! -d $seed ]] || cp -R "$seed/." .
  fi
  [[ ! -d $files ]] || cp -R "$files/." .
  git add --all
  if git diff --cached --quiet 2>/dev/null; then
    git rev-parse HEAD
    exit
  fi
  if [[ -n $check ]]; then
    echo changed
    git diff --cached --stat
    exit
  fi
  git commit --quiet --message "$message"
  # Refused means that somebody was quicker; anything else fails again, and then for good.
  if git push --quiet "$url" "HEAD:refs/heads/$branch" 2>"$work/.git/push"; then
    echo changed
    git show --format= --stat HEAD
    git rev-parse HEAD
    exit
  fi
  echo "attempt $attempt: $(cat "$work/.git/push")" >&2
  sleep 1
done
echo "could not push to $branch" >&2
exit 1
