# What the tests in a fresh Debian share, as root and with debootstrap: . tests/debian_root.sh

# make_root SUITE FOLDER [OPTION of debootstrap...]: a system of that release, from this machine's mirror, made once.
make_root() {
  suite=$1 root=$2
  shift 2
  [ ! -f "$root/.complete" ] || return 0
  [ "$(id -u)" = 0 ] || { echo "root is needed: a system is made with debootstrap and entered" >&2; exit 1; }
  command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
  script=/usr/share/debootstrap/scripts/$suite
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  mkdir -p "$root"
  debootstrap --variant=minbase "$@" "$suite" "$root" "$mirror" "$script"
  # A frozen copy of a release in the making is past its date.
  echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/90frozen"
  touch "$root/.complete"
}

# enter FOLDER COMMAND...: run a command in it, with an environment of its own but for pip's settings and the certificates
# that this machine trusts.
enter() {
  root=$1
  shift
  cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/opt/certificates.crt"
  [ ! -f /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/pip.conf"
  unshare --mount sh -c '
    root=$1 && shift && mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" && exec chroot "$root" env -i \
      HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      PIP_CERT=/opt/certificates.crt REQUESTS_CA_BUNDLE=/opt/certificates.crt SSL_CERT_FILE=/opt/certificates.crt "$@"
    ' sh "$root" "$@"
}
