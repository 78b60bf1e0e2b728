package dev.graft.cpu.kernels;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.graft.tensor.DType;
import dev.graft.tensor.Fingerprint;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;

/** Data on its way in, out and from one dtype to another; all conversions go through float32 and round to nearest even. */
public final class Transfer {
    private static final int FINGERPRINT_WORDS = 16 * 1024;

    private Transfer() {}

    /** {@code destination[i] = source[i]}; as many as the contiguous destination has. */
    public static void upload(Workbench bench, float[] source, Tensor destination) {
        int cols = destination.cols();
        bench.forChunks(
                destination.rows(),
                cols,
                (row, from, n, worker) -> Rows.store(source, row * cols + from, destination, row, from, n));
    }

    /** {@code destination[i] = source[i]} for as many as the source has. */
    public static void upload(int[] source, Tensor destination) {
        MemorySegment.copy(
                source, 0, Rows.segment(destination), JAVA_INT_UNALIGNED, destination.byteOffset(), source.length);
    }

    /** All elements row by row, as float32. */
    public static float[] download(Workbench bench, TensorView source) {
        float[] values = new float[(int) source.size()];
        int cols = source.cols();
        if (source.dtype() == DType.I32) {
            for (int row = 0; row < source.rows(); row++) {
                for (int i = 0; i < cols; i++) {
                    values[row * cols + i] = Rows.getInt(source.rows(row, row + 1), i);
                }
            }
            return values;
        }
        bench.forChunks(
                source.rows(),
                cols,
                (row, from, n, worker) -> Rows.load(source, row, from, n, values, row * cols + from));
        return values;
    }

    /** {@code destination = source}, from F32, BF16 or F16 to F32 or BF16. */
    public static void convert(Workbench bench, TensorView source, Tensor destination) {
        boolean copy = source.dtype() == destination.dtype();
        bench.forChunks(source.rows(), source.cols(), (row, from, n, worker) -> {
            if (copy) {
                Rows.copy(source, row, from, destination, row, from, n);
                return;
            }
            float[] values = bench.scratch.floats(worker, 0, n);
            Rows.load(source, row, from, n, values, 0);
            Rows.store(values, 0, destination, row, from, n);
        });
    }

    /** Every element = 0. */
    public static void zero(Workbench bench, Tensor destination) {
        if (destination.rows() > 1) {
            bench.forRows(
                    destination.rows(), destination.cols(), (from, to, worker) -> Rows.zero(destination, from, to));
        } else {
            bench.forChunks(
                    destination.rows(),
                    destination.cols(),
                    (row, from, n, worker) -> Rows.zero(destination.columns(from, from + n), 0, 1));
        }
    }

    /** {@link Fingerprint} of a tensor's rows, back to back. */
    public static long fingerprint(Workbench bench, TensorView tensor) {
        MemorySegment bytes = tensor.isContiguous()
                ? Rows.segment(tensor).asSlice(tensor.byteOffset(), tensor.byteSize())
                : packed(tensor);
        long words = Fingerprint.words(bytes);
        int blocks = Math.toIntExact(Math.ceilDiv(words, (long) FINGERPRINT_WORDS));
        long[] sums = new long[bench.workers()];
        bench.forRows(
                blocks,
                FINGERPRINT_WORDS,
                (from, to, worker) -> sums[worker] = Fingerprint.ofWords(
                        bytes, (long) from * FINGERPRINT_WORDS, Math.min(words, (long) to * FINGERPRINT_WORDS)));
        long sum = 0;
        for (long part : sums) { // modulo 2⁶⁴ any order gives the same
            sum += part;
        }
        return sum;
    }

    private static MemorySegment packed(TensorView tensor) {
        long rowBytes = (long) tensor.cols() * tensor.dtype().byteSize();
        MemorySegment bytes = MemorySegment.ofArray(new byte[Math.toIntExact(tensor.byteSize())]);
        for (int row = 0; row < tensor.rows(); row++) {
            MemorySegment.copy(Rows.segment(tensor), tensor.rowOffset(row), bytes, row * rowBytes, rowBytes);
        }
        return bytes;
    }
}
