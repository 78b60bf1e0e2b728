package dev.graft.cuda.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.common.InputException;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Sequences;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Calls of the attention kernels. The table of sequences is the same for all layers of a batch and uploaded once. */
public final class Attention {
    private static final long STRUCT_BYTES = 48;
    private static final int TABLE_ROWS = 4;
    /** Blocks that a grid may have in z, where each sequence has its own. */
    private static final int MOST_SEQUENCES = 65_535;

    // GRAFT_MMA, GRAFT_WGMMA
    private static final int MMA = 0;
    private static final int WGMMA = 1;

    private final Gpu gpu;
    private final boolean wgmma;
    private final MemorySegment struct = Arena.ofAuto().allocate(STRUCT_BYTES, 8);
    private @Nullable Sequences uploaded;

    /** @param wgmma with Hopper's own tensor core instructions, where shapes allow it */
    public Attention(Gpu gpu, boolean wgmma) {
        this.gpu = gpu;
        this.wgmma = wgmma;
    }

    public void forward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp) {
        write(shape, sequences);
        gpu.check(
                gpu.kernels()
                        .attentionForward(
                                gpu.stream(),
                                Gpu.code(q.dtype()),
                                struct,
                                gpu.at(q),
                                q.pitch(),
                                gpu.at(k),
                                k.pitch(),
                                gpu.at(v),
                                v.pitch(),
                                gpu.at(o),
                                o.pitch(),
                                gpu.at(logSumExp),
                                logSumExp.pitch()),
                "attentionForward, " + shape,
                "q",
                q,
                "k",
                k);
    }

    public void backward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            TensorView o,
            TensorView logSumExp,
            TensorView dO,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        write(shape, sequences);
        gpu.check(
                gpu.kernels()
                        .attentionBackward(
                                gpu.stream(),
                                Gpu.code(q.dtype()),
                                struct,
                                gpu.at(q),
                                q.pitch(),
                                gpu.at(k),
                                k.pitch(),
                                gpu.at(v),
                                v.pitch(),
                                gpu.at(o),
                                o.pitch(),
                                gpu.at(logSumExp),
                                logSumExp.pitch(),
                                gpu.at(dO),
                                dO.pitch(),
                                gpu.at(dq),
                                dq.pitch(),
                                gpu.at(dk),
                                dk.pitch(),
                                gpu.at(dv),
                                dv.pitch(),
                                q.rows(),
                                gpu.scratch(),
                                gpu.scratchBytes()),
                "attentionBackward, " + shape,
                "q",
                q,
                "k",
                k);
    }

    /** Fills {@code graft_attention}. */
    private void write(AttentionShape shape, Sequences sequences) {
        upload(sequences);
        struct.set(JAVA_INT, 0, shape.heads());
        struct.set(JAVA_INT, 4, shape.keyValueHeads());
        struct.set(JAVA_INT, 8, shape.headDim());
        struct.set(JAVA_INT, 12, shape.window());
        struct.set(JAVA_FLOAT, 16, shape.scale());
        struct.set(JAVA_INT, 20, sequences.count());
        struct.set(JAVA_INT, 24, longest(sequences.queryLength()));
        struct.set(JAVA_INT, 28, longest(sequences.keyLength()));
        struct.set(JAVA_INT, 32, wgmma ? WGMMA : MMA);
        struct.set(JAVA_LONG, 40, gpu.device().sequenceTable());
    }

    private static int longest(int[] lengths) {
        return Arrays.stream(lengths).max().orElse(0);
    }

    private void upload(Sequences sequences) {
        if (sequences == uploaded) {
            return;
        }
        int count = sequences.count();
        long fitting = gpu.device().settings().sequenceTable() / (TABLE_ROWS * (long) Integer.BYTES);
        long most = Math.min(fitting, MOST_SEQUENCES);
        if (count > most) {
            throw new InputException(
                    "a batch of " + count + " rows; the CUDA engine takes " + most + ", use a smaller --batch-size");
        }
        int[] table = new int[TABLE_ROWS * count];
        System.arraycopy(sequences.queryStart(), 0, table, 0, count);
        System.arraycopy(sequences.queryLength(), 0, table, count, count);
        System.arraycopy(sequences.keyStart(), 0, table, 2 * count, count);
        System.arraycopy(sequences.keyLength(), 0, table, 3 * count, count);
        uploaded = null;
        gpu.device().transfers().upload(table, gpu.device().sequenceTable());
        uploaded = sequences;
    }
}
