// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
	// Local names a folder, a git checkout that has the tag of the pinned
	// version, a .deb or a .tar.xz that the kernel is taken from in the place
	// of the pin's sources. It is never written to.
	Local string
	// Sites are the Debian mirrors to try. nil means those that the machine's
	// apt is configured with.
	Sites []string
	// Client makes the requests. nil means one that uses apt's proxy.
	Client *http.Client
	// Unverified leaves the blob ids out, because they are what is asked for:
	// the pin is being moved.
	Unverified bool

	// For tests; 0 means the default.
	tries         int           // of a download that breaks off
	pause, stall  time.Duration // see download
	unpackedBytes int64         // disk space that an unpacked kernel takes
}

// unpackedBytes is what an unpacked kernel takes on disk: 1.8 GB, and a bit.
const unpackedBytes = 2_000_000_000

// Names of what is in a cache entry of a pinned kernel.
const (
	cacheKind    = "pin"
	downloadKind = "download"
	treeName     = "linux"
)

// Fetched returns the tree if it was fetched before, ok unless it was not.
func (p *Pin) Fetched(ctx context.Context, c *cache.Cache) (t tree.Tree, ok bool, err error) {
	return p.fetched(ctx, FetchOptions{Cache: c})
}

func (p *Pin) fetched(ctx context.Context, opts FetchOptions) (t tree.Tree, ok bool, err error) {
	for i := range p.Sources {
		src := &p.Sources[i]
		if dir, ok := opts.Cache.Lookup(cacheKind, p.key(src)); ok {
			t, err := p.open(ctx, dir, src.Kind, opts.Unverified)
			return t, true, err
		}
	}
	return tree.Tree{}, false, nil
}

// Fetch returns the pinned tree: the one in the cache, verified again, or
// else the one that the first of the sources has which can be reached.
//
// Its errors: *ContentError when blob ids differ, *SourcesError when no source
// has it, which wraps what came of each (*GoneError, *UnreachableError,
// *CutOffError, *ChecksumError, *SizeError, *ArchiveError), and
// *cache.SpaceError. After an error the cache is as it was but for what was
// downloaded of a file that was cut off.
func (p *Pin) Fetch(ctx context.Context, opts FetchOptions) (tree.Tree, error) {
	if opts.Local != "" {
		return p.fetchLocal(ctx, &opts)
	}
	if t, ok, err := p.fetched(ctx, opts); ok {
		return t, err
	}
	if err := needXZ(); err != nil {
		return tree.Tree{}, err
	}

	failed := &SourcesError{Version: p.Version}
	for i := range p.Sources {
		src := &p.Sources[i]
		dir, _, err := opts.Cache.Populate(ctx, cacheKind, p.key(src), func(ctx context.Context, tmp string) error {
			return p.fill(ctx, &opts, src, tmp)
		})
		if err == nil {
			return p.open(ctx, dir, src.Kind, opts.Unverified)
		}
		if ctx.Err() != nil {
			return tree.Tree{}, fmt.Errorf("fetch linux-%s: %w", p.Version, ctx.Err())
		}
		// Another source needs no less space.
		var full *cache.SpaceError
		if errors.As(err, &full) {
			return tree.Tree{}, err
		}
		failed.Tried = append(failed.Tried, SourceError{Source: src.String(), Err: err})
	}
	return tree.Tree{}, failed
}

// key is the cache key of the kernel from a source.
func (p *Pin) key(src *Source) string {
	if src.SHA256 != "" {
		return cache.Key("linux", p.Version, src.SHA256)
	}
	return cache.Key("linux", p.Version, src.URL)
}

// fill downloads and unpacks the kernel from a source to tmp.
func (p *Pin) fill(ctx context.Context, opts *FetchOptions, src *Source, tmp string) error {
	partDir := opts.Cache.Path(downloadKind, "")
	if err := os.MkdirAll(partDir, 0o755); err != nil {
		return opts.Cache.Full("download "+src.base(), err)
	}
	part := filepath.Join(partDir, src.base()+".part")

	unpacked := opts.unpackedBytes
	if unpacked == 0 {
		unpacked = unpackedBytes
	}
	doing := fmt.Sprintf("download and unpack linux-%s", p.Version)
	if err := opts.Cache.Need(doing, max(0, src.Size-partSize(part))+unpacked); err != nil {
		return err
	}

	client := opts.Client
	if client == nil {
		client = newClient(ctx)
	}
	var sum string
	var err error
	switch src.Kind {
	case Debian:
		sum, err = p.downloadDebian(ctx, opts, client, src, part)
	default:
		sum, err = p.downloadUpstream(ctx, opts, client, src, part)
	}
	if err != nil {
		full := opts.Cache.Full(doing, err)
		if full != err {
			removePart(part) // it is what filled the disk
		}
		return full
	}
	err = p.unpack(ctx, opts, archive{
		file: part, name: src.base(), sha256: sum, member: src.Member, kind: src.Kind, source: src.String(),
	}, tmp)
	// The kernel's files are what is kept; what cannot be unpacked is of no
	// use. Only for the user who comes back after Ctrl-C it stays.
	if err == nil || ctx.Err() == nil {
		removePart(part)
	}
	return opts.Cache.Full(doing, err)
}

// archive is a kernel that was downloaded.
type archive struct {
	file   string // where it is
	name   string // what it is called
	sha256 string
	member string // the tarball in it, if it is a .deb
	kind   Kind   // of the source that it is from, which says what to verify
	source string // that source
}

// unpack unpacks a kernel into the folder tmp of the cache, verifies it, and
// describes it.
func (p *Pin) unpack(ctx context.Context, opts *FetchOptions, a archive, tmp string) (err error) {
	step := opts.Log.Step("unpack linux-" + p.Version)
	dir := filepath.Join(tmp, treeName)
	var entries []tree.Entry
	defer func() { step.End(err, "%d files", len(entries)) }()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	entries, err = unpackArchive(ctx, a.file, a.name, a.member, dir, func(n int) {
		if n%1024 == 0 {
			step.Update("%d files", n)
		}
	})
	if err != nil {
		return err
	}
	return p.finish(ctx, opts, a, tmp, entries)
}

// finish verifies the tree in tmp and writes its description.
func (p *Pin) finish(ctx context.Context, opts *FetchOptions, a archive, tmp string, entries []tree.Entry) error {
	dir := filepath.Join(tmp, treeName)
	version, err := Version(dir)
	if err != nil {
		return err
	}
	if version != p.Version {
		return &ArchiveError{Archive: a.name, Err: fmt.Errorf("it holds linux-%s, expected linux-%s", version, p.Version)}
	}
	if !opts.Unverified {
		bad, err := diff(ctx, dir, p.blobsOf(a.kind))
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			return &ContentError{Tree: a.name, Files: bad, Next: "Name another source, or regenerate the pin if it was moved on purpose."}
		}
	}
	if err := writeManifest(tmp, p.Version, a, entries); err != nil {
		return err
	}
	return tree.Save(tree.Tree{Dir: dir, ID: cache.Key("linux", p.Version, a.sha256), Version: p.Version})
}

// open returns the tree of a cache entry after verifying the files that the
// pin names.
func (p *Pin) open(ctx context.Context, entry string, kind Kind, unverified bool) (tree.Tree, error) {
	dir := filepath.Join(entry, treeName)
	next := removeHint(entry)
	t, err := tree.Load(dir)
	if err != nil {
		return tree.Tree{}, exit.With(exit.CheckFailed, fmt.Errorf("%w\n%s", err, next))
	}
	if unverified {
		return t, nil
	}
	bad, err := diff(ctx, dir, p.blobsOf(kind))
	if err != nil {
		return tree.Tree{}, exit.With(exit.CheckFailed, fmt.Errorf("%w\n%s", err, next))
	}
	if len(bad) > 0 {
		return tree.Tree{}, &ContentError{Tree: dir, Files: bad, Next: next}
	}
	return t, nil
}

// removeHint says what to do about an entry of the cache that was changed.
func removeHint(entry string) string {
	return fmt.Sprintf("Something changed the cached tree. Remove it and run the command again: rm -rf '%s'", entry)
}

// needXZ reports it before a long download if nothing could be unpacked.
func needXZ() error {
	if _, err := exec.LookPath("xz"); err != nil {
		return exit.With(exit.MachineLacks, errNoXZ)
	}
	return nil
}

// newClient returns a client with apt's proxy that gives up on servers that
// do not answer.
func newClient(ctx context.Context) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 aptProxy(ctx),
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableCompression:    true,
	}}
}
