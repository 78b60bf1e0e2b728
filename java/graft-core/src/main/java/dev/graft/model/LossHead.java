package dev.graft.model;

import dev.graft.engine.Engine;
import dev.graft.lora.AdapterRange;
import dev.graft.lora.LayerCall;
import dev.graft.lora.LoraPass;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Final norm, output head and cross-entropy, fused: only rows that predict something are computed, a chunk at a time, and each
 * chunk's gradient is taken while its logits are there. The [tokens × vocabulary] logits are never whole.
 */
final class LossHead {
    private final Engine engine;
    private final DecoderConfig config;
    private final Weight norm;
    private final Linear head;
    private final DecoderBuffers buffers;

    LossHead(Engine engine, Decoder decoder, DecoderBuffers buffers) {
        this.engine = engine;
        this.config = decoder.config();
        this.norm = decoder.finalNorm();
        this.head = decoder.head();
        this.buffers = buffers;
    }

    /**
     * Σ of the token losses of each part, and with {@code backward} the gradient of all in the residual gradient buffer (written
     * whole).
     */
    double[] losses(TokenBatch batch, LoraPass lora, List<LossPart> parts, boolean backward) {
        DecoderBuffers.HeadBuffers work = buffers.head();
        int count = batch.targets().length;
        int padded = TokenBatch.paddedRows(count);
        // rows beyond the last target repeat row 0; their logit gradients are set to zero
        engine.upload(Arrays.copyOf(batch.targetRows(), Math.min(padded, buffers.maxRows())), work.rowIndex());
        engine.upload(batch.targets(), work.targets());
        if (backward) {
            engine.zero(buffers.gradients().residual().rows(0, batch.rows()));
        }
        for (int from = 0; from < count; from += buffers.logitRows()) {
            chunk(batch, lora, parts, from, Math.min(count, from + buffers.logitRows()), backward);
        }
        return sums(engine.download(work.losses().columns(0, count)), parts);
    }

    private static double[] sums(float[] losses, List<LossPart> parts) {
        double[] sums = new double[parts.size()];
        int target = 0;
        for (int part = 0; part < sums.length; part++) {
            for (; target < parts.get(part).toTarget(); target++) {
                sums[part] += losses[target];
            }
        }
        return sums;
    }

    private void chunk(TokenBatch batch, LoraPass lora, List<LossPart> parts, int from, int to, boolean backward) {
        DecoderBuffers.HeadBuffers work = buffers.head();
        int targets = to - from;
        int rows = Math.min(TokenBatch.paddedRows(targets), Math.min(buffers.logitRows(), buffers.maxRows() - from));
        Tensor index = work.rowIndex().columns(from, from + rows);
        LoraPass chunkLora = restrict(lora, batch, from, to, rows);

        Tensor gathered = work.gathered().rows(0, rows);
        Tensor rstd = work.rstd().columns(0, rows);
        Tensor normed = work.normed().rows(0, rows);
        Tensor logits = work.logits().rows(0, rows);
        engine.gatherRows(buffers.residual(config.layers()).rows(0, batch.rows()), index, gathered);
        engine.rmsNormForward(gathered, norm.value(), config.rmsNormEpsilon(), normed, rstd);
        chunkLora.forward(engine, normed, List.of(new LayerCall(head, logits)));

        Tensor dLogits =
                backward ? Objects.requireNonNull(work.logitGradients()).rows(0, rows) : null;
        int start = from;
        for (LossPart part : parts) {
            int end = Math.min(to, part.toTarget());
            if (start < end) {
                engine.crossEntropy(
                        logits.rows(start - from, end - from),
                        work.targets().columns(start, end),
                        part.gradientScale(),
                        work.losses().columns(start, end),
                        dLogits == null ? null : dLogits.rows(start - from, end - from));
                start = end;
            }
        }
        if (dLogits == null) {
            return;
        }
        if (rows > targets) {
            engine.zero(dLogits.rows(targets, rows));
        }
        Tensor dNormed = Objects.requireNonNull(work.normedGradient()).rows(0, rows);
        chunkLora.backward(engine, normed, List.of(new LayerCall(head, dLogits)), dNormed);
        engine.rmsNormBackward(dNormed, gathered, norm.value(), rstd, dNormed, false, norm.gradient());
        engine.scatterAddRows(dNormed, index, buffers.gradients().residual().rows(0, batch.rows()));
    }

    /** The adapters' row ranges in terms of the chunk's rows: target rows are in order, so ranges stay ranges. */
    private static LoraPass restrict(LoraPass lora, TokenBatch batch, int from, int to, int rows) {
        List<AdapterRange> ranges = new ArrayList<>();
        for (AdapterRange range : lora.ranges()) {
            int first = from;
            while (first < to && batch.targetRows()[first] < range.fromRow()) {
                first++;
            }
            int last = first;
            while (last < to && batch.targetRows()[last] < range.toRow()) {
                last++;
            }
            int end = last == to && lora.ranges().size() == 1 ? rows : last - from;
            if (end > first - from) {
                ranges.add(new AdapterRange(range.adapter(), first - from, end));
            }
        }
        // a chunk's rows are counted from its start: another key gives it dropout masks of its own
        long seed = lora.seed() ^ ((long) from << 32);
        return new LoraPass(ranges, lora.buffers(), lora.training(), seed, lora.microStep());
    }
}
