package dev.graft.lora;

import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.nn.Linear;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The activations of the low-rank parts. For training each module keeps its h = s x Aᵀ for the backward pass, or for that of its
 * layer alone, and DoRA's modules their z = x W0ᵀ + h Bᵀ, which is as large as the layer's output. What lives only as
 * long as one call of the engine is shared by all layers: modules of different names can be in one call (q, k and v), modules of
 * the same name cannot. Several adapters share the memory, as their row ranges do not overlap.
 */
public final class LoraBuffers {
    /** Memory for the rows of all adapters: a range of rows has its part of it, whatever the rank of its adapter. */
    private record Slab(Tensor memory, int maxRank) {
        Tensor part(AdapterRange range, int rank) {
            int start = range.fromRow() * maxRank;
            return memory.columns(start, start + range.rows() * rank).reshape(range.rows(), rank);
        }
    }

    /** What forward leaves for backward. */
    public enum Keep {
        /** h of every module of every layer. */
        ALL_LAYERS,
        /** h of one layer's modules, which backward of that layer follows at once (gradient checkpointing). */
        ONE_LAYER,
        /** Nothing: inference. */
        NOTHING
    }

    /** Kept from forward to backward: by full module name, or by its last part where only one layer's is kept. */
    private final Map<String, Slab> hidden = new HashMap<>();
    /** By the last part of the module's name: used within a call. */
    private final Map<String, Slab> scratch = new HashMap<>();

    /** z of DoRA's modules, kept like h. */
    private final Map<String, Tensor> products = new HashMap<>();

    private final Keep keep;
    private final @Nullable Tensor dropped;
    private final @Nullable Tensor kept;
    private final @Nullable Tensor rest;

    /**
     * @param maxRows rows of the largest batch
     * @param headRows rows that the output head computes at a time
     */
    public LoraBuffers(
            Allocator allocator,
            List<LoraAdapter> adapters,
            int maxRows,
            int headRows,
            Precision precision,
            Keep keep) {
        DType compute = precision.compute();
        boolean training = keep != Keep.NOTHING;
        this.keep = keep;
        Map<String, Integer> ranks = new LinkedHashMap<>();
        for (LoraAdapter adapter : adapters) {
            adapter.modules().forEach(module -> ranks.merge(module.name(), module.rank(), Math::max));
        }
        int maxRank = adapters.stream().mapToInt(LoraAdapter::maxRank).max().orElse(0);
        ranks.forEach((name, rank) -> {
            if (keep == Keep.ALL_LAYERS) {
                hidden.put(name, slab(allocator, MemoryKind.ACTIVATIONS, name + " h", compute, maxRows, rank));
            } else if (keep == Keep.ONE_LAYER) {
                hidden.computeIfAbsent(
                        shortName(name),
                        last -> slab(allocator, MemoryKind.ACTIVATIONS, last + " h", compute, maxRows, maxRank));
            }
            String label = training ? " dh" : " h";
            scratch.computeIfAbsent(
                    shortName(name),
                    last -> slab(allocator, MemoryKind.WORKSPACE, last + label, compute, maxRows, maxRank));
        });
        int widest = training ? widestDropped(adapters, false) : 0;
        int widestOfDora = training ? widestDropped(adapters, true) : 0;
        this.dropped = inputs(allocator, "dropped input", compute, maxRows, widest);
        this.kept = inputs(allocator, "kept input (DoRA)", compute, maxRows, widestOfDora);
        this.rest = inputs(allocator, "rest of the input (DoRA)", compute, maxRows, widestOfDora);
        if (training) {
            products(allocator, adapters, maxRows, headRows, compute);
        }
    }

    private void products(Allocator allocator, List<LoraAdapter> adapters, int maxRows, int headRows, DType compute) {
        adapters.stream()
                .filter(adapter -> adapter.config().useDora())
                .flatMap(adapter -> adapter.modules().stream())
                .forEach(module -> products.computeIfAbsent(
                        productName(module.name()),
                        name -> product(allocator, name, module.module(), maxRows, headRows, compute)));
    }

    private static Tensor product(
            Allocator allocator, String name, LinearModule module, int maxRows, int headRows, DType compute) {
        // logits are float32
        DType dtype = module.isHead() ? DType.F32 : compute;
        int rows = module.isHead() ? headRows : maxRows;
        return allocator.tensor(MemoryKind.ACTIVATIONS, name + " z", dtype, rows, module.out());
    }

    private String productName(String module) {
        return keep == Keep.ONE_LAYER ? shortName(module) : module;
    }

    /** Inputs of the widest layer that is adapted with dropout, by DoRA or without it; 0 of none. */
    private static int widestDropped(List<LoraAdapter> adapters, boolean dora) {
        return adapters.stream()
                .filter(adapter ->
                        adapter.config().dropout() > 0 && adapter.config().useDora() == dora)
                .flatMap(adapter -> adapter.modules().stream())
                .mapToInt(module -> module.module().in())
                .max()
                .orElse(0);
    }

    private static @Nullable Tensor inputs(Allocator allocator, String name, DType dtype, int rows, int cols) {
        return cols == 0 ? null : allocator.tensor(MemoryKind.WORKSPACE, name, dtype, rows, cols);
    }

    private static Slab slab(Allocator allocator, MemoryKind kind, String name, DType dtype, int maxRows, int maxRank) {
        return new Slab(allocator.tensor(kind, name, dtype, 1, Math.multiplyExact(maxRows, maxRank)), maxRank);
    }

    private static String shortName(String module) {
        return module.substring(module.lastIndexOf('.') + 1);
    }

    /** h of this range's rows: kept for the backward pass, or for inference of this call alone. */
    Tensor hidden(AdapterRange range, LoraModule module) {
        return switch (keep) {
            case ALL_LAYERS -> part(hidden.get(module.name()), range, module);
            case ONE_LAYER -> part(hidden.get(shortName(module.name())), range, module);
            case NOTHING -> scratch(range, module);
        };
    }

    /** The gradient of h, of this call alone. */
    Tensor hiddenGradient(AdapterRange range, LoraModule module) {
        if (keep == Keep.NOTHING) {
            throw new IllegalStateException("these buffers were set up for inference");
        }
        return scratch(range, module);
    }

    /** Room for dropout(x) of this range's rows. */
    Tensor dropped(AdapterRange range, LoraModule module) {
        return require(dropped, module.name()).columns(0, module.module().in()).rows(range.fromRow(), range.toRow());
    }

    /** z of a DoRA layer, [rows, out] in the dtype of its output. */
    Tensor product(Linear linear, int rows) {
        return require(products.get(productName(linear.name())), linear.name()).rows(0, rows);
    }

    /** Room for DoRA's dropout(x), of this call alone. */
    Tensor kept(TensorView x) {
        return require(kept, "DoRA's dropout").columns(0, x.cols()).rows(0, x.rows());
    }

    /** Room for x - dropout(x), or for a gradient of x's shape, of this call alone. */
    Tensor rest(TensorView x) {
        return require(rest, "DoRA's dropout").columns(0, x.cols()).rows(0, x.rows());
    }

    private Tensor scratch(AdapterRange range, LoraModule module) {
        return part(scratch.get(shortName(module.name())), range, module);
    }

    private static Tensor part(@Nullable Slab slab, AdapterRange range, LoraModule module) {
        return require(slab, module.name()).part(range, module.rank());
    }

    private static <T> T require(@Nullable T buffer, String where) {
        if (buffer == null) {
            throw new IllegalStateException("no buffers were set up for this adapter at " + where);
        }
        return buffer;
    }
}
