package dev.graft.model;

import dev.graft.engine.Engine;
import dev.graft.lora.AdapterRange;
import dev.graft.lora.LayerCall;
import dev.graft.lora.LoraPass;
import dev.graft.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A decoder at work: forward, loss and backward over one set of buffers. Backward is written out layer by layer and goes only as
 * far down as something is trained. With {@link DecoderBuffers.Use#CHECKPOINTED_TRAINING} it computes each layer's activations again.
 */
public final class DecoderPass {
    private final Engine engine;
    private final Decoder decoder;
    private final DecoderBuffers buffers;
    private final LossHead head;

    public DecoderPass(Engine engine, Decoder decoder, DecoderBuffers buffers) {
        this.engine = engine;
        this.decoder = decoder;
        this.buffers = buffers;
        this.head = new LossHead(engine, decoder, buffers);
    }

    public DecoderBuffers buffers() {
        return buffers;
    }

    /** Σ of the token losses of {@code batch}, forward only. */
    public double loss(TokenBatch batch, LoraPass lora) {
        forward(batch, lora, null);
        return head.losses(batch, lora, LossPart.whole(batch, 0), false)[0];
    }

    /**
     * Σ of the token losses of {@code batch}; the gradient of {@code gradientScale · Σ} is added to the gradients of all that is
     * trained.
     *
     * @param gradientScale 1 / (target tokens of the optimizer step)
     */
    public double lossAndGradients(TokenBatch batch, LoraPass lora, float gradientScale) {
        return lossesAndGradients(batch, lora, LossPart.whole(batch, gradientScale))[0];
    }

    /** As {@link #lossAndGradients(TokenBatch, LoraPass, float)}, for parts of the batch each with a sum and a scale of its own. */
    public double[] lossesAndGradients(TokenBatch batch, LoraPass lora, List<LossPart> parts) {
        BatchContext context = forward(batch, lora, null);
        double[] losses = head.losses(batch, lora, parts, true);
        backward(context, lora);
        return losses;
    }

    /**
     * Logits of the batch's last row, float32 [V], with its keys and values appended to {@code cache}.
     *
     * @param batch one {@link TokenBatch#continuation} of what the cache holds
     */
    public float[] nextTokenLogits(TokenBatch batch, LoraPass lora, KeyValueCache cache) {
        forward(batch, lora, cache);
        cache.extend(batch.rows());
        return lastRowLogits(batch, lora);
    }

    private float[] lastRowLogits(TokenBatch batch, LoraPass lora) {
        int last = batch.rows() - 1;
        DecoderBuffers.HeadBuffers work = buffers.head();
        Tensor normed = work.normed().rows(0, 1);
        Tensor logits = work.logits().rows(0, 1);
        engine.rmsNormForward(
                buffers.residual(decoder.layers().size()).rows(last, last + 1),
                decoder.finalNorm().value(),
                decoder.config().rmsNormEpsilon(),
                normed,
                work.rstd().columns(0, 1));
        List<AdapterRange> ranges = lora.ranges().stream()
                .filter(range -> range.fromRow() <= last && last < range.toRow())
                .map(range -> new AdapterRange(range.adapter(), 0, 1))
                .toList();
        LoraPass one = new LoraPass(ranges, lora.buffers(), false, 0, 0);
        one.forward(engine, normed, List.of(new LayerCall(decoder.head(), logits)));
        return engine.download(logits);
    }

    private BatchContext forward(TokenBatch batch, LoraPass lora, @Nullable KeyValueCache cache) {
        check(batch, cache);
        int rows = batch.rows();
        Tensor tokens = buffers.tokens().columns(0, rows);
        Tensor positions = buffers.positions().columns(0, rows);
        engine.upload(batch.tokens(), tokens);
        engine.upload(batch.positions(), positions);
        writeRope(batch.longest());
        engine.gatherRows(
                decoder.embedding().value(), tokens, buffers.residual(0).rows(0, rows));
        BatchContext context = new BatchContext(rows, batch.sequences(), positions, cache);
        for (int layer = 0; layer < decoder.layers().size(); layer++) {
            layerPass(layer, context, lora)
                    .forward(layer, buffers.residual(layer + 1).rows(0, rows));
        }
        return context;
    }

    private void backward(BatchContext context, LoraPass lora) {
        // the embedding is below all blocks
        int lowest = decoder.embedding().isTrainable() ? -1 : lowestTrainedBlock(context, lora);
        for (int layer = decoder.layers().size() - 1; layer >= 0; layer--) {
            int attentionBlock = 2 * layer;
            int mlpBlock = attentionBlock + 1;
            LayerPass pass = layerPass(layer, context, lora);
            if (mlpBlock >= lowest && mustRecompute(layer)) {
                // its output, the next layer's input, has done its service: it gets the same bits again
                pass.forward(layer, buffers.residual(layer + 1).rows(0, context.rows()));
            }
            if (mlpBlock >= lowest) {
                pass.backwardMlp(mlpBlock > lowest);
            }
            if (attentionBlock >= lowest) {
                pass.backwardAttention(layer, attentionBlock > lowest);
            }
        }
        Tensor embeddingGradient = decoder.embedding().gradient();
        if (embeddingGradient != null) {
            engine.scatterAddRows(
                    buffers.gradients().residual().rows(0, context.rows()),
                    buffers.tokens().columns(0, context.rows()),
                    embeddingGradient);
        }
    }

    /** Whether other layers' activations have taken the place of this one's; nothing ran after the last. */
    private boolean mustRecompute(int layer) {
        return buffers.use() == DecoderBuffers.Use.CHECKPOINTED_TRAINING
                && layer < decoder.layers().size() - 1;
    }

    /** Blocks are numbered from the input: attention of layer i is 2i, its MLP 2i + 1. Past the last where only the head is trained. */
    private int lowestTrainedBlock(BatchContext context, LoraPass lora) {
        for (int layer = 0; layer < decoder.layers().size(); layer++) {
            LayerPass pass = layerPass(layer, context, lora);
            if (pass.trainsAttention()) {
                return 2 * layer;
            }
            if (pass.trainsMlp()) {
                return 2 * layer + 1;
            }
        }
        return Integer.MAX_VALUE;
    }

    private LayerPass layerPass(int layer, BatchContext context, LoraPass lora) {
        return new LayerPass(
                engine,
                decoder.layers().get(layer),
                buffers.layer(layer),
                buffers,
                context,
                lora,
                decoder.config().rmsNormEpsilon());
    }

    private void writeRope(int longest) {
        var rope = decoder.config().rope();
        if (buffers.takeRopeChange(longest, rope.dependsOnLength())) {
            engine.upload(rope.table(buffers.maxPositions(), longest), buffers.cosSin());
        }
    }

    private void check(TokenBatch batch, @Nullable KeyValueCache cache) {
        if (batch.rows() > buffers.maxRows() || batch.longest() > buffers.maxPositions()) {
            throw new IllegalArgumentException(
                    "a batch of " + batch.rows() + " rows, longest sequence " + batch.longest() + ", for buffers of "
                            + buffers.maxRows() + " rows and " + buffers.maxPositions() + " positions");
        }
        if (cache != null && cache.length() + batch.rows() > cache.capacity()) {
            throw new IllegalArgumentException("the key/value cache holds " + cache.length() + " of " + cache.capacity()
                    + " tokens; " + batch.rows() + " more do not fit");
        }
    }
}
