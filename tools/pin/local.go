// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// fetchLocal takes the pinned kernel from what the user named.
func (p *Pin) fetchLocal(ctx context.Context, opts *FetchOptions) (tree.Tree, error) {
	info, err := os.Stat(opts.Local)
	if err != nil {
		return tree.Tree{}, exit.With(exit.Usage, fmt.Errorf("fetch linux-%s: %w", p.Version, err))
	}
	if info.IsDir() {
		if tag, ok := releaseTag(ctx, opts.Local, p.Version); ok {
			return p.fetchTag(ctx, opts, tag)
		}
		return p.fetchFolder(ctx, opts)
	}
	return p.fetchArchive(ctx, opts)
}

// fetchArchive unpacks a .deb or .tar.xz that is there already.
func (p *Pin) fetchArchive(ctx context.Context, opts *FetchOptions) (tree.Tree, error) {
	if err := needXZ(); err != nil {
		return tree.Tree{}, err
	}
	sum, err := fileSum(opts.Local)
	if err != nil {
		return tree.Tree{}, fmt.Errorf("fetch linux-%s: %w", p.Version, err)
	}
	a := archive{file: opts.Local, name: opts.Local, sha256: sum, kind: Upstream, source: opts.Local}
	if filepath.Ext(opts.Local) == ".deb" {
		src := p.debianSource()
		if src == nil {
			return tree.Tree{}, fmt.Errorf("fetch linux-%s: %s: the pin has no Debian package", p.Version, opts.Local)
		}
		if sum != src.SHA256 {
			return tree.Tree{}, &ChecksumError{File: opts.Local, Expected: src.SHA256, Found: sum}
		}
		a.kind, a.member = Debian, src.Member
	}
	return p.populateLocal(ctx, opts, sum, a.kind, func(ctx context.Context, tmp string) error {
		return p.unpack(ctx, opts, a, tmp)
	})
}

func (p *Pin) debianSource() *Source {
	for i := range p.Sources {
		if p.Sources[i].Kind == Debian {
			return &p.Sources[i]
		}
	}
	return nil
}

// populateLocal is Populate for a kernel of that content.
func (p *Pin) populateLocal(ctx context.Context, opts *FetchOptions, content string, kind Kind, fill func(context.Context, string) error) (tree.Tree, error) {
	dir, _, err := opts.Cache.Populate(ctx, cacheKind, p.key(&Source{SHA256: content}), func(ctx context.Context, tmp string) error {
		doing := fmt.Sprintf("unpack linux-%s", p.Version)
		if err := opts.Cache.Need(doing, unpackedBytes); err != nil {
			return err
		}
		return opts.Cache.Full(doing, fill(ctx, tmp))
	})
	if err != nil {
		return tree.Tree{}, err
	}
	return p.open(ctx, dir, kind, opts.Unverified)
}

func fileSum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fetchFolder copies a folder whose content is the pinned kernel's.
func (p *Pin) fetchFolder(ctx context.Context, opts *FetchOptions) (tree.Tree, error) {
	version, err := Version(opts.Local)
	if err != nil {
		return tree.Tree{}, err
	}
	if err := opts.Cache.CheckOutside(opts.Local); err != nil {
		return tree.Tree{}, err
	}
	kind := Upstream
	bad, err := diff(ctx, opts.Local, p.blobsOf(kind))
	if err != nil {
		return tree.Tree{}, err
	}
	if version != p.Version || len(bad) > 0 {
		return tree.Tree{}, &ContentError{Tree: opts.Local, Files: bad,
			Next: fmt.Sprintf("It is linux-%s, the pin is linux-%s. To apply the series to it all the same: make apply-patches KERNEL_SRC='%s'", version, p.Version, opts.Local)}
	}
	entries, id, err := readUser(ctx, opts.Log, opts.Local)
	if err != nil {
		return tree.Tree{}, err
	}
	return p.populateLocal(ctx, opts, id, kind, func(ctx context.Context, tmp string) error {
		if err := tree.CopyEntries(ctx, opts.Local, filepath.Join(tmp, treeName), entries); err != nil {
			return err
		}
		return p.finish(ctx, opts, archive{name: opts.Local, sha256: id, kind: kind, source: opts.Local}, tmp, entries)
	})
}

// fetchTag takes the pinned version out of a git repository, whatever is
// checked out there.
func (p *Pin) fetchTag(ctx context.Context, opts *FetchOptions, tag string) (tree.Tree, error) {
	id, err := git(ctx, opts.Local, "rev-parse", "--verify", "--end-of-options", tag+"^{tree}")
	if err != nil {
		return tree.Tree{}, err
	}
	name := opts.Local + " at " + tag
	return p.populateLocal(ctx, opts, strings.TrimSpace(id), Upstream, func(ctx context.Context, tmp string) (err error) {
		step := opts.Log.Step("unpack " + name)
		var entries []tree.Entry
		defer func() { step.End(err, "%d files", len(entries)) }()
		dir := filepath.Join(tmp, treeName)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		cmd := gitCommand(ctx, opts.Local, "archive", "--format=tar", "--prefix=linux/", tag)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		entries, err = untar(ctx, out, dir, kernelLimits, nil)
		if err != nil {
			out.Close() // git may wait for somebody to read
		}
		if werr := cmd.Wait(); werr != nil && stderr.Len() > 0 {
			err = fmt.Errorf("git archive: %s", strings.TrimSpace(stderr.String()))
		} else if werr != nil && err == nil {
			err = fmt.Errorf("git archive: %w", werr)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return p.finish(ctx, opts, archive{name: name, sha256: strings.TrimSpace(id), kind: Upstream, source: name}, tmp, entries)
	})
}

// releaseTag returns the tag of a version in the git checkout dir, if it is
// one and has it.
func releaseTag(ctx context.Context, dir, version string) (string, bool) {
	if !isCheckout(dir) {
		return "", false
	}
	// x.y.0 is tagged vx.y.
	tag := "refs/tags/v" + strings.TrimSuffix(version, ".0")
	_, err := git(ctx, dir, "rev-parse", "--quiet", "--verify", "--end-of-options", tag+"^{commit}")
	return tag, err == nil
}

// isCheckout reports whether dir is the top of a git checkout. A folder
// somewhere in the checkout of something else is a plain tree.
func isCheckout(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".git"))
	return err == nil
}

// gitCommand is a git command that only reads: no lock is taken, no index
// refreshed, no program run that the repository names. The repository may be
// another user's, as it is under sudo.
func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	args = append([]string{"-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-C", dir}, args...)
	cmd := command(ctx, "git", args...)
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1")
	return cmd
}

// git runs such a command and returns what it prints.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := gitCommand(ctx, dir, args...).Output()
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if errors.Is(err, exec.ErrNotFound) {
			return "", exit.With(exit.MachineLacks, errors.New("the program git is not installed: apt-get install git"))
		}
		said := ""
		if ee, ok := errors.AsType[*exec.ExitError](err); ok {
			said = strings.TrimSpace(string(ee.Stderr))
		}
		return "", fmt.Errorf("git -C %s %s: %w: %s", dir, strings.Join(args, " "), err, said)
	}
	return string(out), nil
}
