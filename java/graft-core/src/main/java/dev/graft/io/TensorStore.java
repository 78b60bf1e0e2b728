package dev.graft.io;

import dev.graft.common.InputException;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/** Named, read-only tensors on disk: one safetensors file, or a checkpoint of several. */
public interface TensorStore extends AutoCloseable {
    /** The names of all tensors, in the order of the files and of the data in them. */
    Set<String> names();

    /**
     * Type and shape of a tensor.
     *
     * @throws InputException if there is no tensor of that name
     */
    TensorInfo info(String name);

    /**
     * The bytes of a tensor, not copied: a read-only view of the mapped file that is valid until the store is closed and may
     * be used by any thread. The address need not be a multiple of the element size, so access it with {@code _UNALIGNED}
     * layouts.
     *
     * @throws InputException if there is no tensor of that name
     */
    MemorySegment data(String name);

    /** Unmaps the files; segments that were given out throw {@link IllegalStateException} from then on. */
    @Override
    void close();
}
