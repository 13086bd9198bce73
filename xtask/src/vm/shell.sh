#!/bin/sh
# A guest's first process: it runs the lines that come by the second serial port, and answers with
# what they print and their exit code.
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mkdir -p /sys/fs/bpf /run/netns
mount -t bpf bpf /sys/fs/bpf
echo "vm: up"
case " $(cat /proc/cmdline) " in
*" lb=probe "*) poweroff -f ;;
esac
ip link set lo up
for module in virtio_pci virtio_net veth; do
    modprobe -q "$module"
done
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1
echo "guest: up"
while IFS= read -r line; do
    (eval "$line") > /tmp/said 2>&1 < /dev/null
    code=$?
    cat /tmp/said
    # What was printed may lack its last line feed.
    printf '\nguest: %s\n' "$code"
done
poweroff -f
