package sim

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// digest is another for another image: other files, another entrypoint.
func (img Image) digest(ctx context.Context) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d\n", img.Entrypoint, img.Env, img.User)
	for _, inside := range slices.Sorted(maps.Keys(img.Files)) {
		from, err := filepath.EvalSymlinks(img.Files[inside])
		if err != nil {
			return sum, err
		}
		err = filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			link := ""
			if d.Type() == fs.ModeSymlink {
				if link, err = os.Readlink(name); err != nil {
					return err
				}
			}
			fmt.Fprintf(h, "%q %q %v %d %q\n", path.Clean(inside), strings.TrimPrefix(name, from), info.Mode(), info.Size(), link)
			if !d.Type().IsRegular() {
				return nil
			}
			in, err := os.Open(name)
			if err != nil {
				return err
			}
			defer in.Close()
			_, err = io.Copy(h, in)
			return err
		})
		if err != nil {
			return sum, err
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}
