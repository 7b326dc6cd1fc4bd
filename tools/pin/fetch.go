// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// FetchOptions say how a pinned kernel is fetched. Only Cache is needed.
type FetchOptions struct {
	// Cache is where the kernel is unpacked, once.
	Cache *cache.Cache
	// Log shows the progress; nil is silent.
	Log *progress.Log
	// Sites are the Debian mirrors to try. nil means those that the machine's
	// apt is configured with.
	Sites []string
	// Client makes the requests. nil means one that uses apt's proxy.
	Client *http.Client
	// Unverified skips the blob ids, which are about to be regenerated.
	Unverified bool

	// For tests; 0 means the default.
	tries         int           // of a download that breaks off
	pause, stall  time.Duration // see download
	unpackedBytes int64         // disk space that an unpacked kernel takes
}

// unpackedBytes is what an unpacked kernel takes on disk: 1.8 GB, and a bit.
const unpackedBytes = 2_000_000_000

// Names of what is in the cache.
const (
	cacheKind    = "pin"
	userKind     = "user"
	downloadKind = "download"
	treeName     = "linux"
)

// Fetched returns the tree if it was fetched before; otherwise ok is false.
func (p *Pin) Fetched(ctx context.Context, opts FetchOptions) (t tree.Tree, ok bool, err error) {
	for i := range p.Sources {
		src := &p.Sources[i]
		if dir, ok := opts.Cache.Lookup(cacheKind, p.key(src)); ok {
			t, err := p.open(ctx, &opts, src, dir)
			return t, true, err
		}
	}
	return tree.Tree{}, false, nil
}

// Fetch returns the pinned tree: the one in the cache, verified again, or
// else the one from the first source that can be reached.
//
// The error is a *ContentError if blob ids differ and a *cache.SpaceError if
// the disk is full; otherwise it lists the error of each source. After an
// error nothing is left in the cache but the part of a download that was cut
// off.
func (p *Pin) Fetch(ctx context.Context, opts FetchOptions) (tree.Tree, error) {
	if t, ok, err := p.Fetched(ctx, opts); ok {
		return t, err
	}
	if err := needUnpackers(); err != nil {
		return tree.Tree{}, err
	}

	var failed []error
	for i := range p.Sources {
		src := &p.Sources[i]
		dir, _, err := opts.Cache.Populate(ctx, cacheKind, p.key(src), func(ctx context.Context, tmp string) error {
			return p.fill(ctx, &opts, src, tmp)
		})
		if err == nil {
			return p.open(ctx, &opts, src, dir)
		}
		if ctx.Err() != nil {
			return tree.Tree{}, fmt.Errorf("fetch linux-%s: %w", p.Version, ctx.Err())
		}
		// Another source needs as much space.
		if _, full := errors.AsType[*cache.SpaceError](err); full {
			return tree.Tree{}, err
		}
		failed = append(failed, fmt.Errorf("%s: %w", src, err))
	}
	return tree.Tree{}, &sourcesError{p.Version, failed}
}

// sourcesError says that a pinned kernel could not be fetched from any source.
type sourcesError struct {
	version string
	failed  []error
}

func (e *sourcesError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fetch linux-%s: no source has it:", e.version)
	for _, err := range e.failed {
		b.WriteString("\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	b.WriteString("\nA kernel tree or git checkout of your own can be named instead: make apply-patches KERNEL_SRC=/path/to/linux")
	return b.String()
}

func (e *sourcesError) Unwrap() []error { return e.failed }

// key is the cache key of the kernel from a source.
func (p *Pin) key(src *Source) string {
	return cache.Key("linux", p.Version, cmp.Or(src.SHA256, src.URL))
}

// fill downloads and unpacks the kernel from a source to tmp.
func (p *Pin) fill(ctx context.Context, opts *FetchOptions, src *Source, tmp string) error {
	doing := fmt.Sprintf("download and unpack linux-%s", p.Version)
	partDir := opts.Cache.Path(downloadKind, "")
	if err := os.MkdirAll(partDir, 0o755); err != nil {
		return opts.Cache.Full(doing, err)
	}
	part := filepath.Join(partDir, src.base()+".part")
	need := max(0, src.Size-partSize(part)) + cmp.Or(opts.unpackedBytes, unpackedBytes)
	if err := opts.Cache.Need(doing, need); err != nil {
		return err
	}

	sum, err := p.download(ctx, opts, src, part)
	if err != nil {
		full := opts.Cache.Full(doing, err)
		if full != err {
			os.Remove(part) // it is what filled the disk
		}
		return full
	}

	err = p.unpack(ctx, opts, src, part, sum, tmp)
	// What cannot be unpacked is useless. After Ctrl-C it is kept for the next
	// run.
	if err == nil || ctx.Err() == nil {
		os.Remove(part)
	}
	return opts.Cache.Full(doing, err)
}

// download downloads from a source to the file part and returns its SHA-256.
func (p *Pin) download(ctx context.Context, opts *FetchOptions, src *Source, part string) (sum string, err error) {
	client := opts.Client
	if client == nil {
		client = newClient(ctx)
	}
	d := download{
		client: client, url: src.URL, part: part, size: src.Size, sha256: src.SHA256,
		tries: cmp.Or(opts.tries, downloadTries), pause: cmp.Or(opts.pause, downloadPause), stall: cmp.Or(opts.stall, downloadStall),
		step: opts.Log.Step("download " + src.base()),
	}
	defer func() { d.step.End(err, "%s, sha256 verified", megabytes(partSize(part))) }()

	if src.Kind == Debian {
		d.exact = true
		return src.SHA256, p.downloadPackage(ctx, &d, opts.Sites, src)
	}
	if d.sha256 == "" {
		if d.sha256, err = publishedSum(ctx, client, src); err != nil {
			return "", err
		}
	}
	return d.sha256, d.run(ctx)
}

// unpack unpacks the kernel in an archive with that sum into the directory tmp
// of the cache, and verifies it.
func (p *Pin) unpack(ctx context.Context, opts *FetchOptions, src *Source, archive, sum, tmp string) (err error) {
	step := opts.Log.Step("unpack linux-" + p.Version)
	u := unpacker{limits: kernelLimits, progress: func(files int) { step.Update("%d files", files) }}
	defer func() { step.End(err, "%d files", u.files) }()

	dir := filepath.Join(tmp, treeName)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := u.unpackArchive(ctx, archive, src.Member, dir); err != nil {
		return exit.With(exit.CheckFailed, fmt.Errorf("unpack %s: %w", src.base(), err))
	}

	version, err := Version(dir)
	if err != nil {
		return err
	}
	if version != p.Version {
		return exit.With(exit.CheckFailed, fmt.Errorf("unpack %s: it holds linux-%s, expected linux-%s", src.base(), version, p.Version))
	}
	if !opts.Unverified {
		next := "Name another source, or run vcpulab pin update if the pin was moved on purpose."
		if err := verify(ctx, src.base(), dir, p.blobsOf(src.Kind), next); err != nil {
			return err
		}
	}
	return tree.Save(tree.Tree{Dir: dir, ID: cache.Key("linux", p.Version, sum), Version: p.Version})
}

// open returns the tree of a cache entry after verifying its pinned files.
func (p *Pin) open(ctx context.Context, opts *FetchOptions, src *Source, entry string) (tree.Tree, error) {
	dir := filepath.Join(entry, treeName)
	t, err := tree.Load(dir)
	if err != nil {
		return tree.Tree{}, exit.With(exit.CheckFailed, fmt.Errorf("%w\n%s", err, removeHint(entry)))
	}
	if !opts.Unverified {
		err = verify(ctx, dir, dir, p.blobsOf(src.Kind), removeHint(entry))
	}
	return t, err
}

// removeHint says what to do about a cache entry that was changed.
func removeHint(entry string) string {
	return fmt.Sprintf("Something changed the cached tree. Remove it and run the command again: rm -rf '%s'", entry)
}
