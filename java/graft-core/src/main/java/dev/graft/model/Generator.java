package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Workspace;
import java.util.Arrays;
import java.util.Set;
import java.util.function.IntPredicate;

/**
 * Continues texts token by token, with a key/value cache: the prompt is computed in blocks, each further token costs one row.
 * One generator serves many texts, one after the other.
 */
public final class Generator implements AutoCloseable {
    /** Why a text ended. */
    public enum Stop {
        /** An end token was chosen; it is not among the tokens given out. */
        END_TOKEN,
        /** As many tokens as asked for. */
        LENGTH,
        /** The receiver had enough. */
        RECEIVER
    }

    /** Rows of the prompt computed at a time. */
    private static final int PROMPT_BLOCK = 256;

    private final LanguageModel model;
    private final Workspace workspace;
    private final DecoderPass pass;
    private final KeyValueCache cache;

    /** @param maxTokens prompt and continuation together, at most */
    public Generator(LanguageModel model, int maxTokens) {
        this.model = model;
        this.workspace = new Workspace(model.engine());
        try {
            DecoderConfig config = model.decoder().config();
            this.cache = new KeyValueCache(workspace, config, model.precision(), maxTokens);
            DecoderBuffers buffers = buffers(workspace, model, maxTokens);
            this.pass = new DecoderPass(model.engine(), model.decoder(), buffers);
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    /** The memory that a generator for {@code maxTokens} takes. */
    public static MemoryPlan plan(LanguageModel model, int maxTokens) {
        PlanningAllocator plan = new PlanningAllocator(model.engine().bufferLayout());
        DecoderConfig config = model.decoder().config();
        new KeyValueCache(plan, config, model.precision(), maxTokens);
        buffers(plan, model, maxTokens);
        return plan.plan();
    }

    private static DecoderBuffers buffers(Allocator allocator, LanguageModel model, int maxTokens) {
        return DecoderBuffers.of(
                allocator, model, Math.min(maxTokens, PROMPT_BLOCK), maxTokens, DecoderBuffers.Use.GENERATION);
    }

    /**
     * Continues {@code prompt}.
     *
     * @param prompt at least one token
     * @param maxNewTokens most tokens to add
     * @param endTokens ids that end the text
     * @param receiver is given each token as it is chosen; returns whether to go on
     * @throws InputException where the prompt is empty or does not fit
     */
    public Stop generate(
            int[] prompt, int maxNewTokens, Sampling sampling, Set<Integer> endTokens, IntPredicate receiver) {
        check(prompt, maxNewTokens);
        cache.clear();
        float[] logits = prefill(prompt);
        for (int i = 0; i < maxNewTokens; i++) {
            int token = sampling.choose(logits, i);
            if (endTokens.contains(token)) {
                return Stop.END_TOKEN;
            }
            if (!receiver.test(token)) {
                return Stop.RECEIVER;
            }
            if (i + 1 < maxNewTokens) {
                logits = next(new int[] {token}, cache.length() + 1);
            }
        }
        return Stop.LENGTH;
    }

    private float[] prefill(int[] prompt) {
        float[] logits = new float[0];
        for (int from = 0; from < prompt.length; from += PROMPT_BLOCK) {
            int[] block = Arrays.copyOfRange(prompt, from, Math.min(prompt.length, from + PROMPT_BLOCK));
            logits = next(block, prompt.length);
        }
        return logits;
    }

    private float[] next(int[] tokens, int wholeLength) {
        TokenBatch batch = TokenBatch.continuation(tokens, cache.length(), wholeLength);
        return pass.nextTokenLogits(batch, model.pass(pass.buffers(), batch.rows(), false, 0, 0), cache);
    }

    private void check(int[] prompt, int maxNewTokens) {
        if (prompt.length == 0) {
            throw new InputException("the prompt is empty; give at least one token");
        }
        if ((long) prompt.length + maxNewTokens > cache.capacity()) {
            throw new InputException("a prompt of " + prompt.length + " tokens and " + maxNewTokens
                    + " new ones do not fit into " + cache.capacity() + "; shorten it or ask for fewer");
        }
        int vocabulary = model.decoder().config().vocabSize();
        for (int id : prompt) {
            if (id < 0 || id >= vocabulary) {
                throw new InputException("token id " + id + " in the prompt is outside the vocabulary of " + vocabulary
                        + "; the tokenizer does not belong to this model");
            }
        }
    }

    @Override
    public void close() {
        workspace.close();
    }
}
