#!/usr/bin/env bash
# What runs first in a host of the laboratory, in namespaces of its own: a root folder over this machine's, and sshd.
# usage: host.sh FOLDER CLUSTER DOUBLES
set -euo pipefail
folder=$1 cluster=$2 doubles=$3

mount --make-rprivate /
# What is written goes to memory, and with the namespace.
mount -t tmpfs host "$folder"
mkdir "$folder"/{upper,work,root}
mount -t overlay host -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
root=$folder/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/run/sshd" "$root/cluster"
mount --bind "$cluster" "$root/cluster"
# What was written on this host, and nothing of this machine, for the test that looks whether anything is left.
mkdir "$root/run/written"
mount --bind "$folder/upper" "$root/run/written"

install -m 755 "$doubles/systemctl" "$root/usr/bin/systemctl"
install -m 755 "$doubles/sysctl" "$root/usr/sbin/sysctl"
# What a cloud's images bring along, where the laboratory stands for one.
[[ ! -e $doubles/cloud-init ]] || install -m 755 "$doubles/cloud-init" "$root/usr/bin/cloud-init"
install -d -m 700 "$root/run/ssh"
install -m 600 "$doubles"/{host_key,authorized_keys} "$root/run/ssh"
cat >"$root/run/ssh/sshd_config" <<END
HostKey /run/ssh/host_key
AuthorizedKeysFile /run/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
END
# A locked account would be refused.
sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"
# This machine's own mounts, those of its pods among them, are not to be held any longer than they are wanted.
mkdir "$root/.before"
cd "$root"
pivot_root . .before
umount --lazy /.before
rmdir /.before
exec /usr/sbin/sshd -D -e -f /run/ssh/sshd_config
