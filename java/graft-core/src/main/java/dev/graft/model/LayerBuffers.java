package dev.graft.model;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What one decoder layer keeps from its forward for its backward pass; T rows. The norms' outputs and the SwiGLU's are not kept:
 * backward computes them again, which costs one elementwise pass and saves (2 d + ff) numbers per token and layer.
 *
 * @param x input of the layer, the residual stream [T, d]
 * @param inputRstd of the first norm [1, T]
 * @param query rotated queries [T, H D]
 * @param key rotated keys [T, Hkv D]; null where a {@link KeyValueCache} holds them, value likewise
 * @param rawQuery queries before their norm; null without one, the next three likewise
 * @param attended output of attention [T, H D]
 * @param logSumExp of attention [T, H]
 * @param middle residual stream after attention [T, d]
 * @param postRstd of the second norm [1, T]
 * @param gate of the SwiGLU [T, ff]; backward overwrites it with its gradient, up likewise
 * @param attentionBottleneck of the adapter module after attention; null without one, mlpBottleneck likewise
 */
record LayerBuffers(
        Tensor x,
        Tensor inputRstd,
        Tensor query,
        @Nullable Tensor key,
        @Nullable Tensor value,
        @Nullable Tensor rawQuery,
        @Nullable Tensor rawKey,
        @Nullable Tensor queryRstd,
        @Nullable Tensor keyRstd,
        Tensor attended,
        Tensor logSumExp,
        Tensor middle,
        Tensor postRstd,
        Tensor gate,
        Tensor up,
        @Nullable BottleneckBuffers attentionBottleneck,
        @Nullable BottleneckBuffers mlpBottleneck) {

    static LayerBuffers allocate(
            Allocator allocator,
            DecoderConfig config,
            @Nullable BottleneckConfig bottlenecks,
            String layer,
            int rows,
            DType compute,
            boolean ownKeys) {
        Maker make = new Maker(allocator, layer);
        boolean normalised = config.queryKeyNorm();
        int queries = config.queryWidth();
        int keys = config.keyValueWidth();
        return new LayerBuffers(
                make.tensor("x", compute, rows, config.hiddenSize()),
                make.tensor("rstd", DType.F32, 1, rows),
                make.tensor("q", compute, rows, queries),
                ownKeys ? make.tensor("k", compute, rows, keys) : null,
                ownKeys ? make.tensor("v", compute, rows, keys) : null,
                normalised ? make.tensor("raw q", compute, rows, queries) : null,
                normalised ? make.tensor("raw k", compute, rows, keys) : null,
                normalised ? make.tensor("q rstd", DType.F32, 1, rows * config.heads()) : null,
                normalised ? make.tensor("k rstd", DType.F32, 1, rows * config.keyValueHeads()) : null,
                make.bordered("attended", compute, rows, queries),
                make.tensor("log-sum-exp", DType.F32, rows, config.heads()),
                make.tensor("middle", compute, rows, config.hiddenSize()),
                make.tensor("post rstd", DType.F32, 1, rows),
                make.bordered("gate", compute, rows, config.intermediateSize()),
                make.bordered("up", compute, rows, config.intermediateSize()),
                bottlenecks != null && bottlenecks.placement() == BottleneckConfig.Placement.HOULSBY
                        ? make.bottleneck("attention adapter", config, bottlenecks, rows, compute)
                        : null,
                bottlenecks == null ? null : make.bottleneck("mlp adapter", config, bottlenecks, rows, compute));
    }

    /** The buffers of another layer that shares all with this one but the input that it keeps. */
    LayerBuffers withOwnInput(Allocator allocator, String layer) {
        return new LayerBuffers(
                new Maker(allocator, layer).tensor("x", x.dtype(), x.rows(), x.cols()),
                inputRstd,
                query,
                key,
                value,
                rawQuery,
                rawKey,
                queryRstd,
                keyRstd,
                attended,
                logSumExp,
                middle,
                postRstd,
                gate,
                up,
                attentionBottleneck,
                mlpBottleneck);
    }

    private record Maker(Allocator allocator, String layer) {
        Tensor tensor(String name, DType dtype, int rows, int cols) {
            return allocator.tensor(MemoryKind.ACTIVATIONS, layer + " " + name, dtype, rows, cols);
        }

        BottleneckBuffers bottleneck(
                String name, DecoderConfig config, BottleneckConfig bottlenecks, int rows, DType compute) {
            return BottleneckBuffers.allocate(
                    allocator, layer + " " + name, rows, config.hiddenSize(), bottlenecks.size(), compute);
        }

        Tensor bordered(String name, DType dtype, int rows, int cols) {
            return allocator.bordered(MemoryKind.ACTIVATIONS, layer + " " + name, dtype, rows, cols);
        }
    }
}
