# What the tests in a fresh Debian share, as root and with debootstrap: . tests/debian_root.sh

# make_root SUITE FOLDER [PROCESSOR [PACKAGES]]: a system of that release, from this machine's mirror, made once. For a
# processor that is not this machine's (arm64), the packages are unpacked and not configured: nothing need run for that.
make_root() {
  suite=$1 root=$2 processor=${3:-$(dpkg --print-architecture)} packages=${4:-}
  [ ! -f "$root/.complete" ] || return 0
  [ "$(id -u)" = 0 ] || { echo "root is needed: a system is made with debootstrap and entered" >&2; exit 1; }
  command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
  script=/usr/share/debootstrap/scripts/$suite
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  foreign=$([ "$processor" = "$(dpkg --print-architecture)" ] || echo --foreign)
  mkdir -p "$root"
  debootstrap --variant=minbase --arch="$processor" ${packages:+--include=$packages} $foreign \
    "$suite" "$root" "$mirror" "$script"
  if [ -d "$root/debootstrap" ]; then
    for package in "$root"/var/cache/apt/archives/*.deb; do
      dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory "$root"
    done
  fi
  # A frozen copy of a release in the making is past its date.
  echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/90frozen"
  touch "$root/.complete"
}

# enter FOLDER COMMAND...: run a command in it, with an environment of its own but for pip's settings and the certificates
# that this machine trusts. With EMULATED=1, arm64's programs run there under qemu-user-static: a user namespace of its own
# tells the kernel so (from Linux 6.7 on), and the machine itself stays as it is.
enter() {
  root=$1
  shift
  mkdir -p "$root/opt"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/opt/certificates.crt"
  [ ! -f /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/pip.conf"
  mkdir -p "$root/etc/ssl/certs"
  [ -e "$root/etc/ssl/certs/ca-certificates.crt" ] || cp "$root/opt/certificates.crt" "$root/etc/ssl/certs/ca-certificates.crt"
  emulator=${EMULATED:+$(command -v qemu-aarch64-static || { echo "apt-get install qemu-user-static" >&2; exit 1; })}
  unshare --mount ${emulator:+--user --keep-caps} sh -euc '
    root=$1 emulator=$2
    shift 2
    if [ -n "$emulator" ]; then
      while [ "$(id -u)" != 0 ]; do sleep 0.1; done  # until it is root of its namespace
      mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
      elf="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
      mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
      printf %s ":aarch64:M::$elf:$mask:$emulator:F" > /proc/sys/fs/binfmt_misc/register
    fi
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    # A plain processor: for the newest that qemu 7.2 imitates, OpenBLAS takes kernels for SME, which go wrong there.
    exec chroot "$root" env -i --chdir=/ HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      ${emulator:+QEMU_CPU=cortex-a72} \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      PIP_CERT=/opt/certificates.crt REQUESTS_CA_BUNDLE=/opt/certificates.crt SSL_CERT_FILE=/opt/certificates.crt "$@"
    ' sh "$root" "$emulator" "$@" &
  inside=$!
  if [ -n "$emulator" ]; then
    until echo "0 0 4294967295" 2>/dev/null > "/proc/$inside/uid_map"; do sleep 0.1; done
    echo "0 0 4294967295" > "/proc/$inside/gid_map"
  fi
  wait "$inside"
}
