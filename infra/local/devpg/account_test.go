package devpg

import (
	"os"
	"os/user"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooseAccount(t *testing.T) {
	t.Parallel()
	known := func(users ...user.User) func(string) (*user.User, error) {
		return func(name string) (*user.User, error) {
			for _, u := range users {
				if u.Username == name {
					return &u, nil
				}
			}
			return nil, user.UnknownUserError(name)
		}
	}
	postgres := user.User{Username: "postgres", Uid: "105", Gid: "106"}
	nobody := user.User{Username: "nobody", Uid: "65534", Gid: "65533"}

	acct, err := chooseAccount(1000, known(postgres, nobody))
	require.NoError(t, err)
	require.EqualValues(t, 1000, acct.uid)
	require.False(t, acct.switched)
	require.Nil(t, acct.attributes().Credential)

	acct, err = chooseAccount(0, known(nobody, postgres))
	require.NoError(t, err)
	require.Equal(t, account{"postgres", 105, 106, true}, acct)
	require.EqualValues(t, 105, acct.attributes().Credential.Uid)
	require.EqualValues(t, 106, acct.attributes().Credential.Gid)

	acct, err = chooseAccount(0, known(nobody))
	require.NoError(t, err)
	require.Equal(t, account{"nobody", 65534, 65533, true}, acct)

	acct, err = chooseAccount(0, known(user.User{Username: "postgres", Uid: "0", Gid: "0"}, nobody))
	require.NoError(t, err)
	require.Equal(t, "nobody", acct.name, "a postgres that is root is refused by Postgres too")

	_, err = chooseAccount(0, known())
	require.ErrorContains(t, err, "does not run as root")
}

func TestReaches(t *testing.T) {
	t.Parallel()
	root := t.TempDir() // below a folder that only its owner may enter
	dir := filepath.Join(root, "a", "b")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	stranger := account{uid: 4_000_000, gid: 4_000_000, switched: true}

	require.True(t, account{}.reaches(dir), "whoever runs this reaches what he made")
	require.False(t, stranger.reaches(dir))
	require.False(t, stranger.reaches(filepath.Join(root, "missing")))
	require.True(t, stranger.reaches("/"))

	link := filepath.Join(root, "link")
	require.NoError(t, os.Symlink("/", link))
	require.True(t, stranger.reaches(link), "where a link leads to counts")
}

func TestPasses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner := account{uid: uint32(os.Geteuid()), gid: 4_000_000, switched: true}
	group := account{uid: 4_000_000, gid: uint32(os.Getegid()), switched: true}
	other := account{uid: 4_000_000, gid: 4_000_000, switched: true}
	for _, test := range []struct {
		mode os.FileMode
		acct account
		want bool
	}{
		{0o700, owner, true},
		{0o700, group, false},
		{0o700, other, false},
		{0o710, group, true},
		{0o710, other, false},
		{0o701, other, true},
		{0o701, group, false}, // the group's bits count for its members, not the others'
		{0o677, owner, false},
		{0o766, other, false},
	} {
		require.NoError(t, os.Chmod(dir, test.mode))
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, test.want, test.acct.passes(info), "%v %+v", test.mode, test.acct)
	}
}

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	fallback := account{name: "postgres", uid: 4_000_000, gid: 4_000_000, switched: true}
	require.Equal(t, fallback, ownerOf(filepath.Join(t.TempDir(), "missing"), fallback))
	require.Equal(t, account{}, ownerOf(t.TempDir(), account{}), "only root may choose")
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	require.Equal(t, fallback, ownerOf(dir, fallback), "a server never runs as root")
	require.NoError(t, os.Chown(dir, 4_000_001, 4_000_002))
	require.Equal(t, account{"user 4000001", 4_000_001, 4_000_002, true}, ownerOf(dir, fallback))
	require.NoError(t, fallback.own(dir))
	require.Equal(t, fallback, ownerOf(dir, fallback))
}
