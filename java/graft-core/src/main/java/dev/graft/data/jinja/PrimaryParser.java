package dev.graft.data.jinja;

import dev.graft.data.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Parses what expressions are made of: names, literals, lists, mappings and expressions in brackets. */
final class PrimaryParser {
    private final TokenStream tokens;
    private final ExpressionParser expressions;

    PrimaryParser(TokenStream tokens, ExpressionParser expressions) {
        this.tokens = tokens;
        this.expressions = expressions;
    }

    Expression parse() {
        Token token = tokens.next();
        return switch (token.kind()) {
            case NAME -> name(token.text());
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (tokens.peek().kind() == Kind.STRING) {
                    text.append(tokens.next().text());
                }
                String literal = text.toString();
                yield scope -> literal;
            }
            case INTEGER -> {
                long value = parseLong(token);
                yield scope -> value;
            }
            case FLOAT -> {
                double value = Double.parseDouble(token.text());
                yield scope -> value;
            }
            case OPERATOR -> bracketed(token);
            default -> throw JinjaException.at(token.line(), "unexpected " + token);
        };
    }

    static long parseLong(Token token) {
        try {
            return Long.parseLong(token.text());
        } catch (NumberFormatException e) {
            throw JinjaException.at(token.line(), "integer " + token.text() + " is too large");
        }
    }

    private static Expression name(String name) {
        return switch (name) {
            case "true", "True" -> scope -> true;
            case "false", "False" -> scope -> false;
            case "none", "None" -> scope -> null;
            default -> scope -> scope.get(name);
        };
    }

    private Expression bracketed(Token open) {
        switch (open.text()) {
            case "(" -> {
                Expression inner = tokens.peek().isOperator(")") ? scope -> List.of() : expressions.parseTuple();
                tokens.expectOperator(")");
                return inner;
            }
            case "[" -> {
                List<Expression> items = new ArrayList<>();
                while (!tokens.acceptOperator("]")) {
                    items.add(expressions.parse());
                    if (!tokens.peek().isOperator("]")) {
                        tokens.expectOperator(",");
                    }
                }
                return scope -> ExpressionParser.evaluateAll(items, scope);
            }
            case "{" -> {
                return parseMap();
            }
            default -> throw JinjaException.at(open.line(), "unexpected " + open);
        }
    }

    private Expression parseMap() {
        Map<Expression, Expression> entries = new LinkedHashMap<>();
        while (!tokens.acceptOperator("}")) {
            Expression key = expressions.parse();
            tokens.expectOperator(":");
            entries.put(key, expressions.parse());
            if (!tokens.peek().isOperator("}")) {
                tokens.expectOperator(",");
            }
        }
        return scope -> {
            Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
            entries.forEach((key, value) -> map.put(key.evaluate(scope), value.evaluate(scope)));
            return map;
        };
    }
}
