#!/bin/sh
# A guest's first process. What the host is to know begins with "vm: ".
export PATH=/bin:/sbin RUST_BACKTRACE=0
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mkdir -p /sys/fs/bpf /run/netns /var
mount -t bpf bpf /sys/fs/bpf
ln -s /run /var/run
hostname guest
echo "vm: up $(uname -r)"
case " $(cat /proc/cmdline) " in
*" lb=probe "*) poweroff -f ;;
*" lb=write "*) export LB_BUDGET=write ;;
esac
ip link set lo up
for module in virtio_pci virtio_net veth bridge 8021q ipip sit ip6_tunnel fou fou6; do
    modprobe -q "$module"
done
# The names that the lab gives in its namespaces are to be free.
number=0
for card in /sys/class/net/e*; do
    ip link set "${card##*/}" name "card$number"
    number=$((number + 1))
done
export LB_BIN=/bin/lb LB_BUDGET_FILE=/etc/budget.toml
cd /tmp
packet --test-threads=1 --nocapture --skip flood --skip several_slices --skip differential
echo "vm: packet $?"
vm --test-threads=1 --nocapture
echo "vm: node $?"
poweroff -f
