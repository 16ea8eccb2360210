//! The e-graph of a tree: rewriting by all rules at once, and the shortest of all equal trees.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use egg::{
    Analysis, CostFunction, DidMerge, EGraph, ENodeOrVar, Extractor, Id, Language, Pattern,
    PatternAst, RecExpr, Rewrite, Runner, Subst, Var,
};

use super::rules::{Condition, RULES, Scope, VARIABLES, condition};
use crate::extent::Extent;
use crate::operator::{OnNumbers, Operator, Structured};
use crate::tree::Tree;

/// Bounds of an e-graph.
const MOST_NODES: usize = 2_000;
const MOST_ITERATIONS: usize = 8;

/// Rules that a tree is rewritten by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saturation {
    /// All rules.
    All,
    /// The rules that hold exactly.
    Exact,
}

/// A node of the e-graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Node {
    Input(String),
    /// The bits of a finite number that is not negative.
    Constant(u64),
    Unary(Operator, [Id; 1]),
    Binary(Operator, [Id; 2]),
    /// The sum that becomes the loss value, which is linear: around the whole tree and its terms alone.
    Total([Id; 1]),
}

impl Node {
    fn apply(operator: Operator, operands: &[Id]) -> Self {
        match *operands {
            [x] => Self::Unary(operator, [x]),
            [a, b] => Self::Binary(operator, [a, b]),
            _ => unreachable!("operators have one operand or two"),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => f.write_str(name),
            Self::Constant(bits) => write!(f, "{}", f64::from_bits(*bits)),
            Self::Unary(operator, _) | Self::Binary(operator, _) => f.write_str(operator.name()),
            Self::Total(_) => f.write_str("total"),
        }
    }
}

impl Language for Node {
    type Discriminant = (std::mem::Discriminant<Self>, Option<Operator>);

    fn discriminant(&self) -> Self::Discriminant {
        let operator = match self {
            Self::Unary(operator, _) | Self::Binary(operator, _) => Some(*operator),
            Self::Input(_) | Self::Constant(_) | Self::Total(_) => None,
        };
        (std::mem::discriminant(self), operator)
    }

    fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Input(a), Self::Input(b)) => a == b,
            (Self::Constant(a), Self::Constant(b)) => a == b,
            _ => self.discriminant() == other.discriminant(),
        }
    }

    fn children(&self) -> &[Id] {
        match self {
            Self::Input(_) | Self::Constant(_) => &[],
            Self::Unary(_, operands) | Self::Total(operands) => operands,
            Self::Binary(_, operands) => operands,
        }
    }

    fn children_mut(&mut self) -> &mut [Id] {
        match self {
            Self::Input(_) | Self::Constant(_) => &mut [],
            Self::Unary(_, operands) | Self::Total(operands) => operands,
            Self::Binary(_, operands) => operands,
        }
    }
}

/// Facts on all trees of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Facts {
    /// Their value, if they are constant.
    constant: Option<f64>,
    /// The dimensions over which they may vary.
    extent: Extent,
}

/// Analysis of classes: folding of constants, and dimensions over which trees vary.
#[derive(Default)]
struct Knowledge;

type Graph = EGraph<Node, Knowledge>;

impl Analysis<Node> for Knowledge {
    type Data = Facts;

    fn make(graph: &mut Graph, node: &Node, _: Id) -> Facts {
        let of = |id: &Id| graph[*id].data;
        match node {
            Node::Input(_) => Facts {
                constant: None,
                extent: Extent::FULL,
            },
            Node::Constant(bits) => Facts {
                constant: Some(f64::from_bits(*bits)),
                extent: Extent::ONE,
            },
            Node::Total(_) => Facts {
                constant: None,
                extent: Extent::ONE,
            },
            Node::Unary(operator, [x]) => applied(*operator, &[of(x)]),
            Node::Binary(operator, [a, b]) => applied(*operator, &[of(a), of(b)]),
        }
    }

    fn merge(&mut self, to: &mut Facts, from: Facts) -> DidMerge {
        let before = *to;
        let extent = Extent::new(
            to.extent.channels && from.extent.channels,
            to.extent.positions && from.extent.positions,
        );
        *to = Facts {
            constant: to.constant.or(from.constant),
            extent,
        };
        DidMerge(*to != before, *to != from)
    }

    fn modify(graph: &mut Graph, id: Id) {
        let Some(c) = graph[id].data.constant.filter(|c| c.is_finite()) else {
            return;
        };
        let size = graph.add(Node::Constant(c.abs().to_bits()));
        let leaf = match c < 0.0 {
            true => graph.add(Node::Unary(Operator::Neg, [size])),
            false => size,
        };
        graph.union(id, leaf);
    }
}

/// Facts on an operator of operands.
fn applied(operator: Operator, operands: &[Facts]) -> Facts {
    let numbers: Option<Vec<f64>> = operands.iter().map(|facts| facts.constant).collect();
    let extents = operands.iter().map(|facts| facts.extent);
    let extent = extents.fold(Extent::ONE, Extent::join);
    let Some(structured) = operator.structured() else {
        let value = |numbers: Vec<f64>| operator.pointwise(OnNumbers(&numbers));
        return Facts {
            constant: numbers.and_then(value).map(|(value, _)| value),
            extent,
        };
    };
    let (alike, extent) = match structured {
        Structured::MeanNhw => (true, Extent::new(extent.channels, false)),
        Structured::MeanC => (true, Extent::new(false, extent.positions)),
        Structured::MaxPool | Structured::MinPool => (true, extent),
        Structured::SoftmaxC => (false, extent),
    };
    Facts {
        constant: numbers.filter(|_| alike).map(|numbers| numbers[0]),
        extent,
    }
}

/// A rule in egg's form, with its scope.
struct Compiled {
    scope: Scope,
    rewrite: Rewrite<Node, Knowledge>,
}

static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let rules = RULES.iter().map(|rule| Compiled {
        scope: rule.scope,
        rewrite: compiled(rule.left, rule.right, rule.scope == Scope::Outermost),
    });
    rules.chain(linearity()).collect()
});

/// A rule in egg's form. Constants are computed, and not rewritten.
fn compiled(left: &str, right: &str, outermost: bool) -> Rewrite<Node, Knowledge> {
    let pattern = |text: &str| {
        let tree = Tree::parse(text, &VARIABLES).expect("rules are formulas, as tested");
        let mut pattern = PatternAst::default();
        let root = add_pattern(&tree, &mut pattern);
        if outermost {
            pattern.add(ENodeOrVar::ENode(Node::Total([root])));
        }
        pattern
    };
    rewrite(&format!("{left} = {right}"), pattern(left), pattern(right))
}

fn rewrite(
    name: &str,
    left: PatternAst<Node>,
    right: PatternAst<Node>,
) -> Rewrite<Node, Knowledge> {
    let holds = |graph: &mut Graph, class: Id, subst: &Subst| {
        let variables = (0..VARIABLES.len()).filter_map(|number| {
            let facts = graph[*subst.get(variable(number))?].data;
            Some((condition(number), facts))
        });
        graph[class].data.constant.is_none()
            && variables.into_iter().all(|(c, facts)| fulfils(c, facts))
    };
    let applier = egg::ConditionalApplier {
        condition: holds,
        applier: Pattern::new(right),
    };
    Rewrite::new(name, Pattern::new(left), applier)
        .expect("the right side uses what the left binds")
}

fn fulfils(condition: Condition, facts: Facts) -> bool {
    match condition {
        Condition::None => true,
        Condition::Constant => facts.constant.is_some_and(f64::is_finite),
        Condition::AlikeOverPositions => !facts.extent.positions,
        Condition::AlikeOverChannels => !facts.extent.channels,
    }
}

fn variable(number: usize) -> Var {
    Var::from_u32(u32::try_from(number).expect("variables are few"))
}

/// Rules of linearity, by which the total of a sum is the sum of the totals of its terms.
fn linearity() -> impl Iterator<Item = Compiled> {
    let rule = |operator: Operator, total: &[bool], variables: &[usize]| {
        let build = |outside: bool| {
            let mut pattern = PatternAst::default();
            let mut operands = Vec::new();
            for (number, is_term) in variables.iter().zip(total) {
                let mut operand = pattern.add(ENodeOrVar::Var(variable(*number)));
                if !outside && *is_term {
                    operand = pattern.add(ENodeOrVar::ENode(Node::Total([operand])));
                }
                operands.push(operand);
            }
            let root = pattern.add(ENodeOrVar::ENode(Node::apply(operator, &operands)));
            if outside {
                pattern.add(ENodeOrVar::ENode(Node::Total([root])));
            }
            pattern
        };
        Compiled {
            scope: Scope::Outermost,
            rewrite: rewrite(
                &format!("total {}", operator.name()),
                build(true),
                build(false),
            ),
        }
    };
    [
        rule(Operator::Add, &[true, true], &[0, 1]),
        rule(Operator::Neg, &[true], &[0]),
        // A constant factor is `k`, the fourth variable.
        rule(Operator::Mul, &[false, true], &[3, 0]),
    ]
    .into_iter()
}

fn add_pattern(tree: &Tree, pattern: &mut PatternAst<Node>) -> Id {
    match tree {
        Tree::Input(name) => {
            let number = VARIABLES.iter().position(|variable| variable == name);
            let number = number.expect("rules are parsed with these names");
            pattern.add(ENodeOrVar::Var(variable(number)))
        }
        Tree::Constant(c) => pattern.add(ENodeOrVar::ENode(Node::Constant(c.to_bits()))),
        Tree::Apply(operator, operands) => {
            let operands: Vec<Id> = operands.iter().map(|t| add_pattern(t, pattern)).collect();
            pattern.add(ENodeOrVar::ENode(Node::apply(*operator, &operands)))
        }
        Tree::Native(loss) => unreachable!("{loss} is in no rule"),
    }
}

fn add(tree: &Tree, expression: &mut RecExpr<Node>) -> Id {
    match tree {
        Tree::Input(name) => expression.add(Node::Input(name.clone())),
        Tree::Constant(c) => expression.add(Node::Constant(c.to_bits())),
        Tree::Apply(operator, operands) => {
            let operands: Vec<Id> = operands.iter().map(|t| add(t, expression)).collect();
            expression.add(Node::apply(*operator, &operands))
        }
        Tree::Native(loss) => unreachable!("{loss} is not simplified"),
    }
}

/// The number of a tree's nodes.
struct Size;

impl CostFunction<Node> for Size {
    type Cost = usize;

    fn cost<C: FnMut(Id) -> usize>(&mut self, node: &Node, costs: C) -> usize {
        let own = usize::from(!matches!(node, Node::Total(_)));
        node.children()
            .iter()
            .copied()
            .map(costs)
            .fold(own, usize::saturating_add)
    }
}

/// The shortest tree that the rules find equal, as a whole loss or as a part of one.
pub(super) fn rewritten(tree: &Tree, saturation: Saturation, whole: bool) -> Tree {
    let mut expression = RecExpr::default();
    let root = add(tree, &mut expression);
    if whole {
        expression.add(Node::Total([root]));
    }
    let rules = COMPILED.iter().filter(|rule| match rule.scope {
        Scope::Exact => true,
        Scope::Near => saturation == Saturation::All,
        Scope::Outermost => whole,
    });
    let runner = Runner::<Node, Knowledge>::default()
        .with_expr(&expression)
        .with_node_limit(MOST_NODES)
        .with_iter_limit(MOST_ITERATIONS)
        .with_time_limit(Duration::MAX)
        .run(rules.map(|rule| &rule.rewrite));
    let (_, best) = Extractor::new(&runner.egraph, Size).find_best(runner.roots[0]);
    tree_of(&best, best.root())
}

fn tree_of(expression: &RecExpr<Node>, id: Id) -> Tree {
    match &expression[id] {
        Node::Input(name) => Tree::input(name),
        Node::Constant(bits) => Tree::Constant(f64::from_bits(*bits)),
        Node::Unary(operator, [x]) => Tree::apply(*operator, vec![tree_of(expression, *x)]),
        Node::Binary(operator, operands) => {
            let operands = operands.iter().map(|id| tree_of(expression, *id));
            Tree::apply(*operator, operands.collect())
        }
        Node::Total([x]) => tree_of(expression, *x),
    }
}
