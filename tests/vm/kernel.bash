# shellcheck shell=bash
# Sourced by run: finds Debian's kernel with apt, unpacks it into a cache and
# builds the initramfs. Uses die and say, and $here, of run.
# shellcheck disable=SC2154 # $here
#
# Layout of the cache (never inside the source tree):
#   lock                      held while anything below is made or read
#   kernel-SERIES/            complete, or absent: made elsewhere, then renamed
#     boot/ usr/lib/modules/  as in the package, with depmod's files
#     image                   the kernel, uncompressed (else a link into boot/)
#     package, version        linux-image-… VERSION; what uname -r will say
#   initramfs-SERIES-HASH.gz  HASH is over all that goes into it
#
# What is cached is used as it is, so a run needs neither network nor apt, and
# gives the same kernel tomorrow. For a newer one, remove the cache.

cache=${WG_NSQUICK_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/wg-nsquick-vm}

# Needed before the root is there; the rest is loaded on demand from the root.
boot_modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay)

# kernel_find SERIES: prints "PACKAGE VERSION" of the newest kernel of the
# series that apt can get. The metapackages come first, since they name the
# kernel that Debian means users to have.
kernel_find() {
	local series=$1 meta version package
	# apt-cache madison prints: PACKAGE | VERSION | SOURCE
	read -r version meta < <(
		LC_ALL=C apt-cache madison linux-image-amd64 "linux-image-$series-amd64" 2>/dev/null |
			awk -F ' *[|] *' -v s="$series." 'index($2, s) == 1 { gsub(/ /, "", $1); print $2, $1 }' |
			sort -V | tail -n 1
	) || :
	if [[ -n ${meta-} ]]; then
		package=$(LC_ALL=C apt-cache show "$meta=$version" |
			sed -nE 's/^Depends:.*\b(linux-image-[0-9][^ ,]*).*/\1/p' | head -n 1)
	else
		# No metapackage of this series. The pattern leaves out the
		# cloud, rt, debug and unsigned variants.
		package=$(apt-cache search --names-only "^linux-image-${series//./\\.}[.][^-]*(-[0-9]+)?-amd64\$" |
			awk '{ print $1 }' | sort -V | tail -n 1)
	fi
	[[ -n ${package-} ]] || return 1
	version=$(LC_ALL=C apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p' | head -n 1)
	printf '%s %s\n' "$package" "$version"
}

# vmlinux_extract BZIMAGE OUT: the kernel itself out of its self-extracting
# wrapper. Emulated, the wrapper takes seconds to unpack what the host unpacks
# at once; QEMU starts the bare kernel by its PVH entry. The three fields are
# those of the kernel's x86 boot protocol (Documentation/arch/x86/boot.rst):
# setup_sects (0x1f1), payload_offset (0x248), payload_length (0x24c). The
# payload's last four bytes are its unpacked size, not part of the stream.
vmlinux_extract() {
	local image=$1 out=$2 sects offset length start
	sects=$(od -An -t u1 -j $((0x1f1)) -N 1 -- "$image")
	offset=$(od -An -t u4 -j $((0x248)) -N 4 -- "$image")
	length=$(od -An -t u4 -j $((0x24c)) -N 4 -- "$image")
	start=$(((sects + 1) * 512 + offset))
	local -a unpack
	case $(od -An -t x1 -j "$start" -N 4 -- "$image") in
	' fd 37 7a 58') unpack=(xz -dc) ;;
	' 28 b5 2f fd') unpack=(zstd -qdc) ;;
	' 1f 8b '*) unpack=(gzip -dc) ;;
	*) return 1 ;;
	esac
	command -v "${unpack[0]}" >/dev/null || return 1
	head -c $((start + length - 4)) -- "$image" | tail -c +$((start + 1)) | "${unpack[@]}" >"$out"
}

# kernel_fetch SERIES DIR: makes DIR, a complete kernel-SERIES.
kernel_fetch() {
	local series=$1 dir=$2 package version found debs modules
	found=$(kernel_find "$series") ||
		die "no Linux $series in the configured apt sources (apt-cache search linux-image-$series); on Debian 12, 6.12 comes from bookworm-security or bookworm-backports; is 'apt-get update' due?"
	read -r package version <<<"$found"
	say "fetching $package $version (once)"
	mkdir -p "$dir/deb" "$dir/tree"
	# Root's apt drops to a user that may not be able to enter the cache;
	# what is fetched is verified all the same.
	(cd "$dir/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package=$version") >&2 ||
		die "cannot download $package=$version (is 'apt-get update' due?)"
	debs=("$dir"/deb/*.deb)
	dpkg-deb -x "${debs[0]}" "$dir/tree"
	rm -r -- "$dir/deb"

	# Debian 12's packages have /lib/modules, later ones /usr/lib/modules;
	# depmod's idea differs likewise. One place, reachable by both names.
	mkdir -p "$dir/usr/lib"
	if [[ -d $dir/tree/usr/lib/modules ]]; then
		mv -- "$dir/tree/usr/lib/modules" "$dir/usr/lib/"
	else
		mv -- "$dir/tree/lib/modules" "$dir/usr/lib/"
	fi
	mv -- "$dir/tree/boot" "$dir/boot"
	rm -r -- "$dir/tree"
	ln -s usr/lib "$dir/lib"

	modules=("$dir"/usr/lib/modules/*)
	printf '%s\n' "${modules[0]##*/}" >"$dir/version"
	printf '%s %s\n' "$package" "$version" >"$dir/package"
	# Modules that tests load are unpacked here, not by the emulated processor.
	find "${modules[0]}"/kernel/{net,crypto,lib,drivers/net,arch} -name '*.ko.xz' -exec xz -d -- {} +
	depmod -b "$dir" "${modules[0]##*/}"

	# A wrapper that we cannot open is no error: it boots, only later.
	if ! vmlinux_extract "$dir/boot/vmlinuz-$(cat "$dir/version")" "$dir/image"; then
		say 'cannot unpack this kernel beforehand (xz-utils, zstd): each boot will'
		ln -sf "boot/vmlinuz-$(cat "$dir/version")" "$dir/image"
	fi
}

# initramfs_build OUT: busybox, guest-boot and the boot modules.
initramfs_build() {
	local out=$1 root name path
	root=$(mktemp -d "$cache/tmp.XXXXXX")
	mkdir -p "$root"/{bin,dev,proc,sys,lib/modules,lower,rw,new}
	cp -- "$busybox" "$root/bin/busybox"
	cp -- "$here/guest-boot" "$root/init"
	chmod 755 "$root/init" "$root/bin/busybox"
	# insmod knows no dependencies: list the files in the order of loading.
	# What is built into this kernel has no file, and is left out.
	for name in "${boot_modules[@]}"; do
		modprobe -d "$kernel_dir" -S "$kernel_version" --show-depends "$name"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
		name=${path##*/}
		name=${name%.xz}
		case $path in
		*.xz) xz -dc -- "$path" >"$root/lib/modules/$name" ;;
		*) cp -- "$path" "$root/lib/modules/$name" ;;
		esac
		printf '%s\n' "$name" >>"$root/lib/modules/order"
	done
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -6 >"$out"
	rm -r -- "$root"
}

# kernel_prepare SERIES: sets kernel_dir, kernel_version, kernel_image and
# kernel_initramfs. From here to kernel_release the cache is ours: other runs
# wait, as they must while the first one downloads.
kernel_prepare() {
	local series=$1 hash tmp
	PATH=$PATH:/usr/sbin:/sbin
	mkdir -p -- "$cache"
	cache=$(cd -- "$cache" && pwd -P)
	exec {cache_lock}>"$cache/lock"
	flock "$cache_lock"
	# Left by a run that was killed; nobody else's, as we hold the lock.
	find "$cache" -mindepth 1 -maxdepth 1 -name 'tmp.*' -exec rm -rf -- {} +

	kernel_dir=$cache/kernel-$series
	if [[ ! -d $kernel_dir ]]; then
		tmp=$(mktemp -d "$cache/tmp.XXXXXX")
		chmod 755 "$tmp"
		kernel_fetch "$series" "$tmp"
		mv -T -- "$tmp" "$kernel_dir"
	fi
	kernel_version=$(cat "$kernel_dir/version")
	# Read by run.
	# shellcheck disable=SC2034
	kernel_image=$kernel_dir/image

	# It must be the static one: the initramfs has no libraries.
	if ! busybox=$(command -v busybox) || ldd "$busybox" >/dev/null 2>&1; then
		die 'no static busybox (apt-get install busybox-static)'
	fi
	hash=$(
		{
			cat -- "$kernel_dir/package" "$here/kernel.bash" "$here/guest-boot" "$busybox"
			printf '%s\n' "${boot_modules[@]}"
		} | sha256sum
	)
	kernel_initramfs=$cache/initramfs-$series-${hash:0:16}.gz
	if [[ ! -f $kernel_initramfs ]]; then
		initramfs_build "$cache/tmp.initramfs"
		rm -f -- "$cache/initramfs-$series-"*.gz
		mv -T -- "$cache/tmp.initramfs" "$kernel_initramfs"
	fi
}

kernel_release() { exec {cache_lock}>&-; }
