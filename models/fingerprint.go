package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
)

// readWhole is the size up to which a fingerprint reads files; of larger ones it takes
// size and time, for weights can take minutes to read.
const readWhole = 32 << 20

// Fingerprint changes when a file of the folder does: it is the hexadecimal SHA-256
// over the files' names and contents, of large files over their size and time of
// change.
func (f Folder) Fingerprint() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(f.files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := fs.Stat(f.files, name) // behind a link, too: caches of the Hub are made of them
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		fmt.Fprintf(sum, "%q %d ", name, info.Size())
		if info.Size() > readWhole {
			fmt.Fprintf(sum, "%d\n", info.ModTime().UnixNano())
			return nil
		}
		file, err := f.files.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(sum, file)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("model folder %s: %w", f.name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
