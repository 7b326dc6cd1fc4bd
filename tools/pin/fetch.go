// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	// Sites are the Debian mirrors to try, nil for those of the machine's apt.
	Sites []string

	// For tests; 0 means the default.
	apt           []string      // options for apt-helper
	pause         time.Duration // before a busy server is asked again; it doubles
	unpackedBytes int64         // disk space that an unpacked kernel takes
}

// setDefaults sets what is not set.
func (o *FetchOptions) setDefaults() {
	o.pause = cmp.Or(o.pause, time.Second)
	o.unpackedBytes = cmp.Or(o.unpackedBytes, unpackedBytes)
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
	for _, src := range p.Sources {
		if err := opts.renew(ctx, cacheKind, p.key(&src), p); err != nil {
			return tree.Tree{}, false, err
		}
		if entry, ok := opts.Cache.Lookup(cacheKind, p.key(&src)); ok {
			t, err := load(ctx, entry, p.blobsOf(src.Kind))
			return t, true, err
		}
	}
	return tree.Tree{}, false, nil
}

// renew removes a tree from the cache if a file of it was edited that p knows.
func (o *FetchOptions) renew(ctx context.Context, kind, key string, p *Pin) error {
	t := tree.Tree{Dir: filepath.Join(o.Cache.Path(kind, key), treeName)}
	return tree.Renew(ctx, o.Cache, kind, key, t, slices.Sorted(maps.Keys(p.blobsOf(Debian))), o.Log)
}

// Fetch returns the pinned tree: the one in the cache, verified again, or else the one from
// the first source that can be reached. The error is a *cache.SpaceError if the disk is full;
// otherwise it lists the error of each source, and has the exit code of the first. Then the
// part of a download that was cut off is left for the next time.
func (p *Pin) Fetch(ctx context.Context, opts FetchOptions) (tree.Tree, error) {
	if t, ok, err := p.Fetched(ctx, opts); ok {
		return t, err
	}
	if err := needUnpackers(); err != nil {
		return tree.Tree{}, err
	}
	opts.setDefaults()

	var failed []error
	for _, src := range p.Sources {
		_, _, err := opts.Cache.Populate(ctx, cacheKind, p.key(&src), func(ctx context.Context, tmp string) error {
			return p.fill(ctx, &opts, &src, tmp)
		})
		if err == nil {
			t, _, err := p.Fetched(ctx, opts)
			return t, err
		}
		if ctx.Err() != nil {
			return tree.Tree{}, fmt.Errorf("fetch linux-%s: %w", p.Version, ctx.Err())
		}
		// Another source needs as much space.
		if _, full := errors.AsType[*cache.SpaceError](err); full {
			return tree.Tree{}, err
		}
		failed = append(failed, fmt.Errorf("%s: %w", &src, err))
	}
	return tree.Tree{}, exit.With(exit.Code(failed[0]), fmt.Errorf(`fetch linux-%s: no source has it:
  %s
A kernel tree or git checkout of your own can be named instead: make apply-patches KERNEL_SRC=/path/to/linux`,
		p.Version, strings.ReplaceAll(errors.Join(failed...).Error(), "\n", "\n  ")))
}

// key is the cache key of the kernel from a source.
func (p *Pin) key(src *Source) string {
	return cache.Key("linux", p.Version, cmp.Or(src.SHA256, src.URL))
}

// fill downloads and unpacks the kernel from a source to tmp.
func (p *Pin) fill(ctx context.Context, opts *FetchOptions, src *Source, tmp string) error {
	doing := fmt.Sprintf("download and unpack linux-%s", p.Version)
	part := opts.Cache.Path(downloadKind, src.base()+".part")
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		return opts.Cache.Full(doing, err)
	}
	if err := opts.Cache.Need(doing, max(0, src.Size-fileSize(part))+opts.unpackedBytes); err != nil {
		return err
	}

	err := p.download(ctx, opts, src, part)
	downloaded := err == nil
	if downloaded {
		err = p.unpack(ctx, opts, src, part, tmp)
	}
	full := opts.Cache.Full(doing, err)
	// What cannot be unpacked is useless, and what fills the disk is in the
	// way. After Ctrl-C the download is kept for the next run.
	if full != err || downloaded && (err == nil || ctx.Err() == nil) {
		os.Remove(part)
	}
	return full
}

// download downloads from a source to the file part: a package from the first
// mirror that has it. A source without a sum gets the one that is published.
func (p *Pin) download(ctx context.Context, opts *FetchOptions, src *Source, part string) (err error) {
	step := opts.Log.Step("download " + src.base())
	defer func() { step.End(err, "%s, sha256 verified", megabytes(fileSize(part))) }()

	if src.Kind == Upstream {
		if src.SHA256 == "" {
			src.SHA256, err = opts.publishedSum(ctx, src)
		}
		if err != nil {
			return err
		}
		return opts.fetch(ctx, src, src.URL, part, step)
	}

	sites, err := mirrors(ctx, opts.Sites)
	if err != nil {
		return err
	}
	var failed []error
	var without []string
	for _, site := range sites {
		err := opts.fetch(ctx, src, site+"/"+src.Path, part, step)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if f, ok := errors.AsType[*failure](err); ok && f.gone {
			without = append(without, site)
		} else {
			failed = append(failed, err)
		}
	}
	if len(without) > 0 {
		failed = append(failed, opts.gone(ctx, without, src))
	}
	return errors.Join(failed...)
}

// unpack unpacks the kernel in an archive into the directory tmp, and verifies it.
func (p *Pin) unpack(ctx context.Context, opts *FetchOptions, src *Source, archive, tmp string) (err error) {
	step, files := opts.Log.Step("unpack linux-"+p.Version), 0
	defer func() { step.End(err, "%d files", files) }()

	dir := filepath.Join(tmp, treeName)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := unpack(ctx, archive, src.Member, dir, func(string) {
		files++
		step.Update("%d files", files)
	}); err != nil {
		return exit.With(exit.CheckFailed, fmt.Errorf("unpack %s: %w", src.base(), err))
	}
	version, err := Version(dir)
	if err != nil {
		return err
	}
	if version != p.Version {
		return fmt.Errorf("unpack %s: it holds linux-%s, expected linux-%s", src.base(), version, p.Version)
	}
	next := "Name another source, or run vcpulab pin update if the pin was moved on purpose."
	if err := verify(ctx, src.base(), dir, p.blobsOf(src.Kind), next); err != nil {
		return err
	}
	return tree.Save(tree.Tree{Dir: dir, ID: p.key(src), Version: p.Version})
}

// load returns the tree of a cache entry after verifying its pinned files.
func load(ctx context.Context, entry string, want map[string]string) (tree.Tree, error) {
	dir := filepath.Join(entry, treeName)
	hint := fmt.Sprintf("Something changed the cached tree. Remove it and run the command again: rm -rf '%s'", entry)
	t, err := tree.Load(dir)
	if err != nil {
		return tree.Tree{}, fmt.Errorf("%w\n%s", err, hint)
	}
	return t, verify(ctx, dir, dir, want, hint)
}

// shownFiles is how many files an error lists.
const shownFiles = 10

// verify compares files in dir with the wanted blob ids. Its error says what to do next.
func verify(ctx context.Context, name, dir string, want map[string]string, next string) error {
	files := slices.Sorted(maps.Keys(want))
	ids, err := tree.BlobIDs(ctx, dir, files)
	if err != nil {
		return fmt.Errorf("verify the kernel tree: %w\n%s", err, next)
	}

	var wrong []string
	for _, file := range files {
		if ids[file] != want[file] {
			wrong = append(wrong, fmt.Sprintf("%s: expected blob %s, found %s", file, want[file], cmp.Or(ids[file], "no such file")))
		}
	}
	n := len(wrong)
	if n == 0 {
		return nil
	}
	if n > shownFiles {
		wrong = append(wrong[:shownFiles], fmt.Sprintf("and %d more", n-shownFiles))
	}
	return fmt.Errorf("%s: %d of the files that the series builds on are not the pinned ones:\n    %s\n%s",
		name, n, strings.Join(wrong, "\n    "), next)
}
