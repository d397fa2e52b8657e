package sandbox;

import java.io.IOException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/** Local files without owners and permissions, as in an object store: see local_files.py. */
public class PlainLocalFileSystem extends RawLocalFileSystem {
  public void setPermission(Path path, FsPermission permission) {}

  public FileStatus getFileStatus(Path path) throws IOException {
    return withoutOwner(super.getFileStatus(path));
  }

  public FileStatus[] listStatus(Path path) throws IOException {
    FileStatus[] statuses = super.listStatus(path);
    for (int i = 0; i < statuses.length; i++) statuses[i] = withoutOwner(statuses[i]);
    return statuses;
  }

  private static FileStatus withoutOwner(FileStatus status) {
    return new FileStatus(
        status.getLen(), status.isDirectory(), status.getReplication(), status.getBlockSize(),
        status.getModificationTime(), status.getPath());
  }
}
