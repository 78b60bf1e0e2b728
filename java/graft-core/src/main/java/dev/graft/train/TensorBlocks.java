package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.WritableByteChannel;
import java.util.List;

/**
 * Flat float32 tensors [1, n] of a run on their way to a file and back, a block at a time: with all weights trained, values and
 * moments are three times the model, of which no plan knows a second copy on the host.
 */
final class TensorBlocks {
    /** Numbers on the host at once. */
    static final int BLOCK = 1 << 22;

    private TensorBlocks() {}

    /** A tensor to be written; it is read when its turn comes. */
    static SafetensorsWriter.Entry entry(Engine engine, String name, Tensor tensor) {
        return new SafetensorsWriter.Entry(
                name, DType.F32, List.of((long) tensor.cols()), channel -> write(engine, tensor, channel));
    }

    private static void write(Engine engine, Tensor tensor, WritableByteChannel channel) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate((long) Math.min(BLOCK, tensor.cols()) * Float.BYTES, Float.BYTES);
            for (int from = 0; from < tensor.cols(); from += count(tensor, from)) {
                int count = count(tensor, from);
                HostFloats.write(engine.download(tensor.columns(from, from + count)), bytes, DType.F32, 0);
                SafetensorsWriter.writeFully(channel, bytes.asSlice(0, (long) count * Float.BYTES));
            }
        }
    }

    /**
     * Sets {@code target} to what a file has under {@code name}.
     *
     * @throws InputException where that is of another length
     */
    static void restore(Engine engine, SafetensorsFile file, String name, Tensor target) {
        long stored = file.info(name).elements();
        if (stored != target.cols()) {
            throw new InputException(file.path() + ": " + name + " has " + stored + " numbers, this run trains "
                    + target.cols() + "; resume with the same model and flags");
        }
        MemorySegment bytes = file.data(name);
        for (int from = 0; from < target.cols(); from += count(target, from)) {
            int count = count(target, from);
            engine.upload(HostFloats.read(bytes, DType.F32, from, count), target.columns(from, from + count));
        }
    }

    private static int count(Tensor tensor, int from) {
        return Math.min(BLOCK, tensor.cols() - from);
    }
}
